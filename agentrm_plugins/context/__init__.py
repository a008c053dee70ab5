"""The context lifecycle, pure: text in, plan out. No file here reads a clock, a file or a socket.

What the model sees (hot), what is kept as notes (warm) and what is archived (cold) is decided
here; `agentrm_plugins.sessions` drives it and `agentrm_plugins.stores` keeps the archive.
"""

from __future__ import annotations
