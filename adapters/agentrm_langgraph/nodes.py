"""A graph's node with a gate in front: the node itself, its writers and its edges run inside.

LangGraph makes of each node a sequence, the node first and then what writes its result and chooses
the next nodes. The gate goes around that sequence, so the node keeps its function, its signature,
its cache key, its policies and its subgraphs, and LangGraph injects and streams as ever.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from langchain_core.runnables import Runnable
from langgraph._internal._runnable import RunnableSeq
from langgraph.pregel._read import PregelNode

from agentrm_langgraph.hoist import hoisted

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from langchain_core.runnables import RunnableConfig

    from agentrm_langgraph.gate import Gate

__all__ = ["GatedRunnable", "ManagedNode"]

_node_of: Callable[[PregelNode], Runnable[Any, Any] | None] = vars(PregelNode)["node"].func


class ManagedNode(PregelNode):
    """A node behind a gate."""

    agentrm_gate: Gate

    @classmethod
    def of(cls, node: PregelNode, gate: Gate, bound: Runnable[Any, Any] | None = None) -> Any:
        """A managed copy of `node`, with another `bound` if one is given."""
        managed = copy.copy(node)
        managed.__dict__.pop("node", None)
        managed.__class__ = cls
        managed.writers = list(node.writers)
        own = cast("ManagedNode", managed)
        own.agentrm_gate = gate
        if bound is not None:
            own.bound = bound
            # LangGraph lists only those that keep a state of their own: not `checkpointer=False`.
            own.subgraphs = [bound] if node.subgraphs else []  # type: ignore[list-item]
        return own

    @staticmethod
    def plain(node: PregelNode) -> PregelNode:
        """The node without its gate."""
        if not isinstance(node, ManagedNode):
            return node
        bare: Any = copy.copy(node)
        for name in ("node", "agentrm_gate"):
            bare.__dict__.pop(name, None)
        bare.__class__ = PregelNode
        return cast("PregelNode", bare)

    def copy(self, update: dict[str, Any]) -> PregelNode:
        """A managed copy with other attributes."""
        attributes = {**self.__dict__, **update}
        for name in ("flat_writers", "node", "input_cache_key", "agentrm_gate"):
            attributes.pop(name, None)
        return cast("PregelNode", self.of(PregelNode(**attributes), self.agentrm_gate))

    @cached_property
    def node(self) -> Runnable[Any, Any] | None:
        """What LangGraph runs."""
        inner = _node_of(self)
        if inner is None:
            return None
        if isinstance(inner, RunnableSeq):
            return _GatedSequence(inner, self.agentrm_gate)
        return GatedRunnable(inner, self.agentrm_gate)


class _GatedSequence(RunnableSeq):
    """A node's sequence; still a `RunnableSeq`, so that LangGraph looks into its steps."""

    def __init__(self, sequence: RunnableSeq, gate: Gate) -> None:
        self.__dict__.update(sequence.__dict__)
        self._gate = gate

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The node in sync code."""
        inner, gate = super().invoke, self._gate
        if gate.carried:
            with hoisted(gate):
                return gate.run(config, lambda own: inner(input, own, **kwargs))
        return gate.run(config, lambda own: inner(input, own, **kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """The node in async code."""
        inner, gate = super().ainvoke, self._gate
        if gate.carried:
            with hoisted(gate):
                return await gate.arun(config, lambda own: inner(input, own, **kwargs))
        return await gate.arun(config, lambda own: inner(input, own, **kwargs))

    def stream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        """The node in sync code. It yields when it is done: its output goes to the channels."""
        inner = super().stream
        with hoisted(self._gate):
            chunks = self._gate.run(config, lambda own: list(inner(input, own, **kwargs)))
        yield from chunks

    async def astream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """The same in async code."""
        inner = super().astream

        async def consume(own: Any) -> list[Any]:
            return [chunk async for chunk in inner(input, own, **kwargs)]

        with hoisted(self._gate):
            chunks = await self._gate.arun(config, consume)
        for chunk in chunks:
            yield chunk


class GatedRunnable(Runnable[Any, Any]):
    """Any runnable behind a gate.

    Args:
        bound: The runnable.
        gate: Its gate.
    """

    def __init__(self, bound: Runnable[Any, Any], gate: Gate) -> None:
        self.bound = bound
        self.agentrm_gate = gate
        self.name = getattr(bound, "name", None)

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The name of the runnable within."""
        return self.bound.get_name(suffix, name=name)

    def get_input_schema(self, config: RunnableConfig | None = None) -> Any:
        """The input of the runnable within."""
        return self.bound.get_input_schema(config)

    def get_output_schema(self, config: RunnableConfig | None = None) -> Any:
        """The output of the runnable within."""
        return self.bound.get_output_schema(config)

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run it in sync code."""
        return self.agentrm_gate.run(config, lambda own: self.bound.invoke(input, own, **kwargs))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        """Run it in async code."""
        return await self.agentrm_gate.arun(
            config, lambda own: self.bound.ainvoke(input, own, **kwargs)
        )
