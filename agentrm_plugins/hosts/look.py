"""What stands among the kernel's events and is none: a look at it, and news of elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.bell import Bell

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.kernel import Kernel
    from agentrm_plugins.types.effects import Effect

__all__ = ["Look", "News"]


class Look:
    """A look at the kernel, taken where nothing changes meanwhile.

    Args:
        look: What to look at; quick, and it must not feed.
    """

    __slots__ = ("_look", "done", "error", "value")

    def __init__(self, look: Callable[[Kernel], Any]) -> None:
        self._look = look
        self.value: Any = None
        self.error: Exception | None = None
        self.done = Bell()

    def take(self, kernel: Kernel) -> None:
        """Look, and tell whoever waits for it."""
        try:
            self.value = self._look(kernel)
        except Exception as error:  # noqa: BLE001 - raised again where it was asked for
            self.error = error
        self.done.ring()


class News:
    """Something that happened beside the kernel, to stand among its events."""

    __slots__ = ("effect",)

    def __init__(self, effect: Effect) -> None:
        self.effect = effect
