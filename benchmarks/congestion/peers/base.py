"""What every peer is given, and what it must be able to do. Imports no framework by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.congestion.scenarios import LANES, SCENARIOS, Limits, Scenario, Variant
from benchmarks.congestion.workload import Agent, Kind, Turn, kinds

ATTEMPTS = 10  # for whoever counts attempts; "sdk-2" has the SDK's default of three
BACKOFF_S, BACKOFF_CAP_S = 0.5, 8.0  # the OpenAI SDK's own, for whoever lets it be set
KEY = "test-key"
# Limiters get a bucket a tenth smaller than the server's. With the very same one, the first calls'
# way to the server is enough to overshoot, and the retries, which bypass them, do the rest.
BUCKET_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Setting:
    """One run as a peer sees it.

    `limits` is None when the peer is told nothing; `mean_tokens` is what an average call
    reserves, for those that can only count calls.
    """

    url: str
    variant: Variant
    limits: Limits | None
    mean_tokens: float
    seed: int
    crowd: float

    @property
    def scenario(self) -> Scenario:
        """The server's side; only the oracle may look at more than `models` and `streaming`."""
        return SCENARIOS[self.variant.scenario]

    @property
    def timeout_s(self) -> float | None:
        """The request timeout to set; None leaves the library's own."""
        return self.variant.timeout_s

    @property
    def lanes(self) -> int:
        """Calls at once, for whoever bounds them: the server's capacity where it was told."""
        told = self.limits.concurrency if self.limits else None
        return min(LANES, told) if told else LANES

    @property
    def calls_per_s(self) -> float | None:
        """The best rate for a limiter that counts calls only; None if nothing was told."""
        if self.limits is None:
            return None
        rates = []
        if self.limits.rpm:
            rates.append(self.limits.rpm / 60.0)
        if self.limits.tpm:
            rates.append(self.limits.tpm / 60.0 / self.mean_tokens)
        return min(rates) if rates else None


Seen = Callable[[], None]  # called at a stream's first token


class Asker(Protocol):
    """One peer in one run."""

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        """Answer a turn or raise; the text of the answer."""
        ...

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        """The same, blocking."""
        ...


class NotForThis(Exception):
    """The peer cannot take part in this variant; the message says why."""


def chat_models(
    setting: Setting, max_retries: int, timeout: Callable[[Kind], float] | None = None, **more: Any
) -> dict[tuple[str, str], Any]:
    """A `ChatOpenAI` for each endpoint and class of agents, as an application would keep them."""
    from langchain_openai import ChatOpenAI

    made = {}
    for model in setting.scenario.models:
        for kind in kinds(setting.scenario.most):
            settings: dict[str, Any] = dict(more)
            if timeout is not None:
                settings["timeout"] = timeout(kind)
            elif setting.timeout_s is not None:
                settings["timeout"] = setting.timeout_s
                settings["stream_chunk_timeout"] = setting.timeout_s
            made[model, kind.name] = ChatOpenAI(
                model=model,
                base_url=setting.url,
                api_key=KEY,
                max_retries=max_retries,
                max_tokens=kind.max_tokens,
                stream_usage=setting.scenario.streaming,
                **settings,
            )
    return made


async def consume(model: Any, turn: Turn, streaming: bool, seen: Seen) -> str:
    """One answer of a LangChain runnable."""
    if not streaming:
        return str((await model.ainvoke(turn.text)).content)
    parts = []
    async for chunk in model.astream(turn.text):
        if chunk.content:
            seen()
            parts.append(str(chunk.content))
    return "".join(parts)


def consume_sync(model: Any, turn: Turn, streaming: bool, seen: Seen) -> str:
    """The same, blocking."""
    if not streaming:
        return str(model.invoke(turn.text).content)
    parts = []
    for chunk in model.stream(turn.text):
        if chunk.content:
            seen()
            parts.append(str(chunk.content))
    return "".join(parts)


class Plain:
    """Asks a LangChain runnable and adds nothing; the base of most peers."""

    def __init__(self, setting: Setting, models: dict[tuple[str, str], Any]) -> None:
        self.setting = setting
        self.streaming = setting.scenario.streaming
        self.models = models

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        model = self.models[agent.model, agent.kind.name]
        return await consume(model, turn, self.streaming, seen)

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        model = self.models[agent.model, agent.kind.name]
        return consume_sync(model, turn, self.streaming, seen)


__all__ = ["Asker", "NotForThis", "Plain", "Setting", "chat_models", "consume"]
