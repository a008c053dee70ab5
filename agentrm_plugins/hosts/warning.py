"""What would go wrong in silence is said once: an `AgentRMWarning`, by core and cause."""

from __future__ import annotations

import inspect
import warnings

from agentrm_plugins.errors import AgentRMWarning

__all__ = ["Warned", "warn"]

_LIBRARIES = ("agentrm_", "langchain", "langgraph", "openai", "pydantic", "asyncio", "concurrent")
_SILENCE = "silence this with warnings.filterwarnings('ignore', category=AgentRMWarning)"


def warn(text: str, *, stacklevel: int = 3, strict: bool = False) -> None:
    """Warn, and say how to silence it.

    Args:
        text: What is wrong, and the way out.
        stacklevel: As of `warnings.warn`, seen from here: what is blamed where no frame is the
            user's own, as in a worker's thread.
        strict: Whether it is raised where warnings are errors. In the middle of a call it is not:
            what only looks on must not fail a call.
    """
    try:
        level = _users_level() or stacklevel
        warnings.warn(f"{text} ({_SILENCE})", AgentRMWarning, stacklevel=level)
    except AgentRMWarning:
        if strict:
            raise


def _users_level() -> int | None:
    """The nearest frame that is of no library, as a stack level of whoever asks; None if none is.

    `skip_file_prefixes` of `warnings.warn` does it too, from Python 3.12 on.
    """
    frame, level = inspect.currentframe(), 0
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if not name.startswith((*_LIBRARIES, "threading", "contextvars")):
            return level
        frame, level = frame.f_back, level + 1
    return None


class Warned:
    """Which causes one core has warned of."""

    __slots__ = ("_causes",)

    def __init__(self) -> None:
        self._causes: set[str] = set()

    def __contains__(self, cause: object) -> bool:
        """Whether there is nothing more to be said of it."""
        return cause in self._causes

    def once(self, cause: str, text: str, *, stacklevel: int = 4, strict: bool = False) -> None:
        """Warn, unless this core has for this cause."""
        if cause not in self._causes:
            self._causes.add(cause)
            warn(text, stacklevel=stacklevel, strict=strict)
