"""LiteLLM's Router. It needs `openai<3` and so runs in an environment of its own."""

from __future__ import annotations

import os
from typing import Any

from benchmarks.congestion.peers.base import ATTEMPTS, KEY, NotForThis, Seen, Setting
from benchmarks.congestion.workload import Agent, Turn


class LiteLLM:
    """The router with `num_retries=9`; with `limited`, it is told rpm, tpm and parallel calls."""

    def __init__(self, setting: Setting, *, limited: bool) -> None:
        # Otherwise importing it fetches a price map over the network.
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        import litellm

        litellm.telemetry = False
        litellm.suppress_debug_info = True
        params: dict[str, Any] = {"api_base": setting.url, "api_key": KEY}
        options: dict[str, Any] = {"num_retries": ATTEMPTS - 1}
        limits = setting.limits
        if limited:
            if limits is None:
                raise NotForThis("needs the limits")
            if limits.rpm:
                params["rpm"] = int(limits.rpm)
            if limits.tpm:
                params["tpm"] = int(limits.tpm)
            params["max_parallel_requests"] = setting.lanes
            options["routing_strategy"] = "usage-based-routing-v2"
            options["enable_pre_call_checks"] = True
        if setting.timeout_s is not None:
            options["timeout"] = options["stream_timeout"] = setting.timeout_s
        self._streaming = setting.scenario.streaming
        self._router = litellm.Router(
            model_list=[
                {"model_name": model, "litellm_params": {"model": f"openai/{model}", **params}}
                for model in setting.scenario.models
            ],
            **options,
        )

    def _request(self, agent: Agent, turn: Turn) -> dict[str, Any]:
        return {
            "model": agent.model,
            "messages": [{"role": "user", "content": turn.text}],
            "max_tokens": agent.kind.max_tokens,
            "stream": self._streaming,
        }

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        answer: Any = await self._router.acompletion(**self._request(agent, turn))
        if not self._streaming:
            return str(answer.choices[0].message.content)
        parts = []
        async for chunk in answer:
            if chunk.choices and chunk.choices[0].delta.content:
                seen()
                parts.append(chunk.choices[0].delta.content)
        return "".join(parts)

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        answer: Any = self._router.completion(**self._request(agent, turn))
        if not self._streaming:
            return str(answer.choices[0].message.content)
        parts = []
        for chunk in answer:
            if chunk.choices and chunk.choices[0].delta.content:
                seen()
                parts.append(chunk.choices[0].delta.content)
        return "".join(parts)
