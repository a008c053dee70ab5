"""Our side, in one small file: what a user of the managed model would write."""

from __future__ import annotations

from typing import Any

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Config
from benchmarks.congestion.peers.base import ATTEMPTS, Plain, Seen, Setting, chat_models
from benchmarks.congestion.scenarios import LANES
from benchmarks.congestion.workload import Agent, Turn

# All that ours is told of an agent: whether a person waits for it.
_HINTS = {"interactive": "interactive", "long": "batch", "batch": "batch"}


def _config(setting: Setting) -> Config:
    """Lanes as everybody's, and the limits if they were told."""
    settings: dict[str, Any] = {"lanes": LANES}
    limits = setting.limits
    if limits is not None and "endpoints" in Config.__dataclass_fields__:
        from agentrm_plugins.config import EndpointConfig

        known = EndpointConfig.__dataclass_fields__
        told = {"rpm": limits.rpm, "tpm": limits.tpm, "concurrency": limits.concurrency}
        if "burst_s" in known:
            told["burst_s"] = limits.bucket_s
        settings["endpoints"] = {"*": EndpointConfig(**told)}
    return Config(**settings)


class Ours(Plain):
    """`wrap_chat_model(ChatOpenAI(...), rm)`; with `hints`, interactive agents are named so."""

    def __init__(self, setting: Setting, *, hints: bool) -> None:
        self._hints = hints
        self._rm = AgentRM(_config(setting))
        self._events = self._rm.events(capacity=200_000)
        models = chat_models(setting, ATTEMPTS - 1)
        wrapped = {key: wrap_chat_model(model, self._rm) for key, model in models.items()}
        super().__init__(setting, wrapped)

    def close(self) -> None:
        """End the core."""
        self._rm.close()

    def _who(self, agent: Agent) -> Any:
        priority = _HINTS[agent.kind.name] if self._hints else None
        return self._rm.identity(agent=agent.name, priority=priority)

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        with self._who(agent):
            return await super().ask(agent, turn, seen)

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        with self._who(agent):
            return super().ask_sync(agent, turn, seen)

    def report(self) -> list[dict[str, Any]]:
        """What the core did to its limits: the events that change them, with their times."""
        names = {"LimitChanged", "EndpointClosed", "EndpointOpened", "BreakerChanged"}
        return [
            {"event": type(event).__name__, **{k: _plain(v) for k, v in event._asdict().items()}}
            for event in self._events.drain()
            if type(event).__name__ in names
        ]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
