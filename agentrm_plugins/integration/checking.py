"""The arguments of every door that manages calls, looked at in one place and in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import ClosedError, ConfigError
from agentrm_plugins.hosts.identity import Said, say
from agentrm_plugins.types.calls import Call
from agentrm_plugins.types.checks import check_group, check_instance

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["checked"]

_OF_A_CALL = frozenset(
    {"wait_timeout_s", "first_token_timeout_s", "silence_timeout_s", "total_timeout_s", "hedge",
     "adaptive"}
)  # fmt: skip
_ON_STALL = ("error", "restart")
_YES_OR_NO = ("abandon", "abandon_hung", "keep_sdk_retries", "recall")


def checked(rm: Any, given: Mapping[str, Any]) -> Said:
    """Refuse at construction what no call could run with.

    Args:
        rm: What was given as the core.
        given: The door's arguments by name, as far as it has them: `agent`, `tenant`, `priority`,
            `group` or `lane` (None: no lane), the timeouts, `hedge`, `adaptive`, `retry`,
            `on_stall` and what is yes or no. Others are the door's own to look at.

    Returns:
        For whom the calls are made, by these arguments.

    Raises:
        ConfigError: `rm` is no core, or an argument has a value that it cannot have.
        ClosedError: The core is closed.
    """
    from agentrm_plugins.manager import AgentRM

    way = "give the AgentRM core that manages the calls: AgentRM(lanes=8)"
    core = check_instance("rm", rm, AgentRM, way)
    if core.closed:
        raise ClosedError("rm is closed; make a new AgentRM, or keep this one open for longer")
    said = say(*map(given.get, ("agent", "tenant", "priority")))
    for field in ("group", "lane"):
        if field in given:
            check_group(field, given[field], core.config.groups, none=field == "lane")
    Call("check", **{name: value for name, value in given.items() if name in _OF_A_CALL})
    for field in _YES_OR_NO:
        if field in given:
            check_instance(field, given[field], bool, "give True or False")
    if "retry" in given:
        core._core.policy(given["retry"])  # noqa: SLF001 - as `core_of`
    if given.get("on_stall", "error") not in _ON_STALL:
        raise ConfigError("on_stall", given["on_stall"], 'give "error" or "restart"')
    return said
