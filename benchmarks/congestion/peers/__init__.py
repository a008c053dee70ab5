"""The peers by name. Each is made anew for each run, inside the client's process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.congestion.peers.base import Asker, NotForThis, Setting

__all__ = ["PEERS", "Asker", "NotForThis", "Peer", "Setting"]


@dataclass(frozen=True, slots=True)
class Peer:
    """How to make one; `litellm` says that it needs the other environment."""

    make: Callable[[Setting], Asker]
    litellm: bool = False


def _oracle(setting: Setting) -> Asker:
    from benchmarks.congestion.peers.oracle import Oracle

    return Oracle(setting)


def _ours(setting: Setting) -> Asker:
    from benchmarks.congestion.ours import Ours

    return Ours(setting, hints=True)


def _ours_unhinted(setting: Setting) -> Asker:
    from benchmarks.congestion.ours import Ours

    return Ours(setting, hints=False)


def _own(name: str) -> Callable[[Setting], Asker]:
    def make(setting: Setting) -> Asker:
        from benchmarks.congestion.peers import langchain_own

        asker: Asker = getattr(langchain_own, name)(setting)
        return asker

    return make


def _limiter(name: str) -> Callable[[Setting], Asker]:
    def make(setting: Setting) -> Asker:
        from benchmarks.congestion.peers import limiters

        asker: Asker = getattr(limiters, name)(setting)
        return asker

    return make


def _router(*, limited: bool) -> Callable[[Setting], Asker]:
    def make(setting: Setting) -> Asker:
        from benchmarks.congestion.peers.litellm_router import LiteLLM

        return LiteLLM(setting, limited=limited)

    return make


PEERS: dict[str, Peer] = {
    "oracle": Peer(_oracle),
    "ours": Peer(_ours),
    "ours, no hints": Peer(_ours_unhinted),
    "sdk, 2 retries": Peer(_own("sdk_2")),
    "sdk, 10 retries": Peer(_own("sdk_10")),
    "InMemoryRateLimiter": Peer(_own("rate_limiter")),
    "with_retry": Peer(_own("with_retry")),
    "tenacity": Peer(_limiter("Tenacity")),
    "semaphore": Peer(_limiter("Semaphore")),
    "aiolimiter": Peer(_limiter("AioLimiter")),
    "LiteLLM Router": Peer(_router(limited=False), litellm=True),
    "LiteLLM Router, limits": Peer(_router(limited=True), litellm=True),
    "LangGraph RetryPolicy": Peer(_own("GraphRetry")),
    "ModelRetryMiddleware": Peer(_own("MiddlewareRetry")),
}
