"""AgentRM's context lifecycle as a strategy."""

from __future__ import annotations

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import SqliteStore


class Ours:
    """Background work runs while the model answers, as it does in a real run."""

    def __init__(self, budget: int, path: str, *, recall: bool = True, **settings: object) -> None:
        share = settings.pop("recall_share", ContextConfig().recall_share) if recall else 0.0
        config = ContextConfig(budget_tokens=budget, recall_share=share, **settings)
        self.jobs: list = []
        self.store = SqliteStore(path)
        self.manager = ContextLifecycle(config, store=self.store, submit=self.jobs.append)
        self.session = self.manager.session("bench")
        self.recall_tokens = 0
        self.compaction_tokens = 0
        self.repairs: list[str] = []

    def __call__(self, messages: list[dict]) -> list[dict]:
        view = self.session.prepare(messages, now_s=1_772_000_000.0)
        self.recall_tokens = view.recall_tokens
        self.repairs += view.repairs
        return view.messages

    def after(self) -> None:
        while self.jobs:
            self.jobs.pop()()

    def close(self) -> None:
        self.manager.close()
        self.store.close()
