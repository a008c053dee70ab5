"""The kernel: events in, effects out, no clock and no thread. It alone changes state."""

from agentrm_plugins.kernel.kernel import Kernel

__all__ = ["Kernel"]
