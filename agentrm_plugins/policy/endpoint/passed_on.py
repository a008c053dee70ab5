"""Whether a plain error is the provider's, which a package has passed on as a text.

langchain-openai raises ``ValueError(error)`` for a 200 that holds an error. The same class with the
same words is anybody's; so it is looked at which module raised it.

Limits: an error that was raised anew elsewhere is nobody's.
"""

from __future__ import annotations

__all__ = ["is_passed_on"]

_PACKAGES = ("langchain_openai.",)


def is_passed_on(error: BaseException) -> bool:
    """Whether a package of those that do so raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__", ""))
    return module.startswith(_PACKAGES)
