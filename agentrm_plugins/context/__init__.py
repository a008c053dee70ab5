"""The context lifecycle: what the model sees (hot), notes (warm) and the archive (cold).

`plan`, `notes` and `recall` are pure: text in, plan out; no file there reads a clock, a file or a
socket. `live` drives them, and `stores` keeps the archive.
"""
