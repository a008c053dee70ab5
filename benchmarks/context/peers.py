"""What a LangChain user would use instead, each with its own code, in this same run.

Where a peer asks a model for a summary it gets `StandIn`: a deterministic chat model that answers
with our own extractive summary of what it was sent, so that no peer loses by a worse summariser.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from langchain.agents.middleware import ClearToolUsesEdit, SummarizationMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    convert_to_messages,
    convert_to_openai_messages,
    trim_messages,
)
from langchain_core.outputs import ChatGeneration, ChatResult

from agentrm_plugins.context.notes.text import terms
from agentrm_plugins.context.plan.warm import extractive_summary
from agentrm_plugins.context.recall.query import query_of
from agentrm_plugins.context.recall.rank import Candidate, Corpus, ranked
from agentrm_plugins.types.message import Message
from benchmarks.context.grade import _count, tokens_of


class StandIn(BaseChatModel):
    """Summarises what it reads, in at most `words` tokens, and counts what it cost."""

    spent: list = []  # noqa: RUF012 - pydantic copies it
    words: int = 600

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        texts = [str(m.content) for m in messages]
        said = [Message("user", text) for text in texts]
        answer = extractive_summary(said, self.words, _count) or "Nothing of note."
        self.spent.append(sum(map(_count, texts)) + _count(answer))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(answer))])


def _counted(messages: list[BaseMessage]) -> int:
    return 3 + sum(map(tokens_of, _dicts(messages)))


def _dicts(messages: list[BaseMessage]) -> list[dict]:
    made = convert_to_openai_messages(messages)
    for one in made:
        if isinstance(one.get("content"), list):
            one["content"] = "\n".join(b.get("text", "") for b in one["content"])
    return made


class _Growing:
    """Converts only what is new."""

    def __init__(self) -> None:
        self.known: list[BaseMessage] = []
        self.seen = 0

    def new(self, history: list[dict]) -> list[BaseMessage]:
        fresh = convert_to_messages(history[self.seen :])
        self.seen = len(history)
        for at, message in enumerate(fresh):
            message.id = message.id or f"m{self.seen - len(fresh) + at}"
        self.known += fresh
        return fresh


class Trim(_Growing):
    def __init__(self, budget: int) -> None:
        super().__init__()
        self.budget = budget

    def __call__(self, history: list[dict]) -> list[dict]:
        self.new(history)
        kept = trim_messages(
            self.known, max_tokens=self.budget, token_counter=_counted, strategy="last",
            start_on="human", include_system=True,
        )  # fmt: skip
        return _dicts(kept)


class Summarization(_Growing):
    """SummarizationMiddleware; `default` is its own counter and its last 20 messages."""

    def __init__(self, budget: int, kind: str) -> None:
        super().__init__()
        self.model = StandIn(spent=[])
        settings: dict[str, Any] = {"trigger": ("tokens", int(budget * 0.9))}
        if kind == "tuned":
            settings |= {"keep": ("tokens", budget // 3), "token_counter": _counted}
        elif kind == "deepagents":
            settings = {
                "trigger": ("tokens", int(budget * 0.85)), "keep": ("tokens", budget // 10),
                "trim_tokens_to_summarize": None,
            }  # fmt: skip
        self.middleware = SummarizationMiddleware(model=self.model, **settings)
        self.system: list[BaseMessage] = []
        self.state: list[BaseMessage] = []

    def __call__(self, history: list[dict]) -> list[dict]:
        fresh = self.new(history)
        self.system += [m for m in fresh if m.type == "system"]
        self.state += [m for m in fresh if m.type != "system"]
        change = self.middleware.before_model({"messages": self.state}, None)
        if change is not None:
            self.state = list(change["messages"][1:])
        return _dicts([*self.system, *self.state])

    @property
    def compaction_tokens(self) -> int:
        return sum(self.model.spent)


class ContextEditing(_Growing):
    def __init__(self, budget: int) -> None:
        super().__init__()
        self.edit = ClearToolUsesEdit(trigger=int(budget * 0.8), keep=3)

    def __call__(self, history: list[dict]) -> list[dict]:
        self.new(history)
        messages = list(self.known)
        self.edit.apply(messages, count_tokens=_counted)
        return _dicts(messages)


class Langmem(_Growing):
    def __init__(self, budget: int) -> None:
        super().__init__()
        self.budget = budget
        self.model = StandIn(spent=[])
        self.running: Any = None

    def __call__(self, history: list[dict]) -> list[dict]:
        self.new(history)
        from langmem.short_term import summarize_messages  # requirements/bench.txt has it

        result = summarize_messages(
            self.known, running_summary=self.running, model=self.model, max_tokens=self.budget,
            max_summary_tokens=600, token_counter=_counted,
            max_tokens_before_summary=int(self.budget * 0.8),
        )  # fmt: skip
        self.running = result.running_summary or self.running
        return _dicts(result.messages)

    @property
    def compaction_tokens(self) -> int:
        return sum(self.model.spent)


class UsersAndSummary:
    """Newest user messages within a third of the budget plus one summary, as Codex CLI does."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.start = 1
        self.head: list[dict] = []
        self.spent = 0

    def __call__(self, history: list[dict]) -> list[dict]:
        view = [history[0], *self.head, *history[self.start :]]
        if 3 + sum(map(tokens_of, view)) <= self.budget * 0.9:
            return view
        users, used = [], 0
        for message in reversed(history):
            if message["role"] == "user":
                used += tokens_of(message)
                if used > self.budget // 3:
                    break
                users.append(message)
        old = [Message(m["role"], str(m.get("content") or "")) for m in history[1:]]
        self.spent += sum(map(tokens_of, history))
        summary = extractive_summary(old, 600, _count)
        self.head = [{"role": "user", "content": f"Summary so far:\n{summary}"}, *users[::-1]]
        self.start = len(history)
        return [history[0], *self.head]

    @property
    def compaction_tokens(self) -> int:
        return self.spent


class Bm25(_Growing):
    """trim_messages, and the best messages of the dropped part in a fifth of the budget."""

    def __init__(self, budget: int) -> None:
        super().__init__()
        self.budget = budget
        self.trim = Trim(budget - budget // 5)
        self.bags: list[tuple[str, ...]] = []

    def __call__(self, history: list[dict]) -> list[dict]:
        kept = self.trim(history)
        self.bags += [tuple(terms(str(m.get("content") or ""))) for m in history[len(self.bags) :]]
        dropped = range(1, max(1, len(history) - len(kept) + 1))
        query = query_of(str(history[-1].get("content") or ""))
        found = [
            Candidate(at, 0, 0, "", self.bags[at]) for at in dropped
            if set(query.terms) & set(self.bags[at])
        ]  # fmt: skip
        containing = {t: sum(t in c.terms for c in found) for t in query.terms}
        mean = sum(len(c.terms) for c in found) / max(1, len(found))
        texts, used = [], 0
        for hit in ranked(query, found, Corpus(len(self.bags), mean, containing)):
            text = str(history[hit.candidate.seq].get("content") or "")
            if used + _count(text) <= self.budget // 5 - 20:
                texts.append(text)
                used += _count(text)
        extra = [{"role": "user", "content": "Earlier:\n" + "\n".join(texts)}] if texts else []
        return [*kept[:-1], *extra, *kept[-1:]] if history[-1]["role"] == "user" else kept


PEERS = {
    "trim_messages": Trim,
    "SummarizationMiddleware default": lambda b: Summarization(b, "default"),
    "SummarizationMiddleware tuned": lambda b: Summarization(b, "tuned"),
    "deepagents compaction": lambda b: Summarization(b, "deepagents"),
    "ContextEditing": ContextEditing,
    "langmem": Langmem,
    "users + one summary": UsersAndSummary,
    "BM25 over the dropped": Bm25,
}
MISSING = [name for name in ("langmem",) if find_spec(name) is None]  # told in the report
for _name in MISSING:
    del PEERS[_name]
