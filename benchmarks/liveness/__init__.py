"""Healthy work is never killed, sick work never hangs: `python -m benchmarks.liveness`."""
