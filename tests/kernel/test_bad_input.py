"""Bad values: refused when they are given, with the field, the value and the way out."""

from __future__ import annotations

import pickle

import pytest

from agentrm_plugins.config import Config, LaneGroup, LeaseConfig, SchedulerConfig, TenantConfig
from agentrm_plugins.errors import CallReaped, ConfigError, QueueFull
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types.calls import Call, Priority, Usage
from tests.kernel.dump import dump, load

pytestmark = pytest.mark.lowest

SECONDS = [0, -1.0, float("nan"), float("inf"), "5", True]
BAD = [
    *((LaneGroup, {"name": value, "capacity": 1}, "name") for value in ["", None, 3]),
    *(
        (LaneGroup, {"name": "g", "capacity": value}, "capacity")
        for value in [0, -1, 1.5, True, None]
    ),
    (LaneGroup, {"name": "g", "capacity": 1, "guaranteed": -1}, "guaranteed"),
    (LaneGroup, {"name": "g", "capacity": 1, "guaranteed": 2}, "guaranteed"),
    (LaneGroup, {"name": "g", "capacity": 1, "per_agent": 0}, "per_agent"),
    (LaneGroup, {"name": "g", "capacity": 1, "per_tenant": "2"}, "per_tenant"),
    (SchedulerConfig, {"order": "lifo"}, "order"),
    (SchedulerConfig, {"order": None}, "order"),
    (SchedulerConfig, {"num_queues": 0}, "num_queues"),
    (SchedulerConfig, {"boost_interval": 0}, "boost_interval"),
    (SchedulerConfig, {"boost_every_s": -1}, "boost_every_s"),
    (SchedulerConfig, {"share_half_life_s": 0}, "share_half_life_s"),
    (SchedulerConfig, {"share_half_life_s": None}, "share_half_life_s"),
    (SchedulerConfig, {"service_s_per_1k_tokens": -0.5}, "service_s_per_1k_tokens"),
    (SchedulerConfig, {"service_s_per_1k_tokens": None}, "service_s_per_1k_tokens"),
    (SchedulerConfig, {"time_quanta_s": (1, 2, 4)}, "time_quanta_s"),
    (SchedulerConfig, {"time_quanta_s": (1, -2, 4, 8)}, "time_quanta_s"),
    (SchedulerConfig, {"time_quanta_s": (1, "x", 4, 8)}, "time_quanta_s"),
    (SchedulerConfig, {"time_quanta_s": None}, "time_quanta_s"),
    (SchedulerConfig, {"start_levels": {"urgent": 0}}, "start_levels"),
    (SchedulerConfig, {"start_levels": {"batch": -1}}, "start_levels[batch]"),
    *((LeaseConfig, {"total_timeout_s": value}, "total_timeout_s") for value in SECONDS),
    *(
        (LeaseConfig, {"silence_timeout_s": value}, "silence_timeout_s")
        for value in [*SECONDS, None]
    ),
    (LeaseConfig, {"first_token_timeout_s": None}, "first_token_timeout_s"),
    (LeaseConfig, {"response_timeout_s": 0}, "response_timeout_s"),
    *((TenantConfig, {"weight": value}, "weight") for value in [0, -1, float("inf"), "1", True]),
    *((Config, {"lanes": value}, "lanes") for value in [0, -3, 2.0, None]),
    (Config, {"max_waiting": -1}, "max_waiting"),
    (Config, {"max_waiting_per_agent": 0}, "max_waiting_per_agent"),
    (Config, {"wait_timeout_s": -1}, "wait_timeout_s"),
    (Config, {"agent_idle_s": 0}, "agent_idle_s"),
    (Config, {"agent_idle_s": None}, "agent_idle_s"),
    (Config, {"scheduler": "mlfq"}, "scheduler"),
    (Config, {"leases": None}, "leases"),
    (Config, {"groups": ("model",)}, "groups"),
    (Config, {"groups": (LaneGroup("g", 1), LaneGroup("g", 2))}, "groups"),
    (Config, {"lanes": 1, "groups": (LaneGroup("g", 2, 2),)}, "guaranteed"),
    (Config, {"tenants": {"t": 2.0}}, "tenants[t]"),
    *((Call, {"agent": value}, "agent") for value in ["", None, 7]),
    (Call, {"agent": "a", "tenant": ""}, "tenant"),
    (Call, {"agent": "a", "priority": "urgent"}, "priority"),
    (Call, {"agent": "a", "priority": []}, "priority"),
    (Call, {"agent": "a", "estimate": 100}, "estimate"),
    (Call, {"agent": "a", "parent_agent": "a"}, "parent_agent"),
    (Call, {"agent": "a", "wait_timeout_s": -1}, "wait_timeout_s"),
    *((Call, {"agent": "a", "total_timeout_s": value}, "total_timeout_s") for value in SECONDS),
    (Call, {"agent": "a", "first_token_timeout_s": 0}, "first_token_timeout_s"),
    (Call, {"agent": "a", "silence_timeout_s": "1"}, "silence_timeout_s"),
    *((Usage, {"input_tokens": value}, "input_tokens") for value in [-1, 1.5, "1", True, None]),
    (Usage, {"output_tokens": -1}, "output_tokens"),
    (Usage, {"cached_input_tokens": -1}, "cached_input_tokens"),
]


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    BAD,
    ids=[f"{kind.__name__}-{field}-{number}" for number, (kind, _, field) in enumerate(BAD)],
)
def test_bad_value_is_named_with_the_way_out(kind: type, values: dict, field: str) -> None:
    """The error names the field, shows the value, says what to give, and survives pickling."""
    with pytest.raises(ConfigError) as caught:
        kind(**values)
    error = caught.value
    assert error.field == field
    assert str(error) == f"{field}={error.value!r}: {error.remedy}"
    assert len(error.remedy) > 10
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_good_values_are_brought_into_one_form() -> None:
    """Words become enums, lists become tuples, levels stay within the queues."""
    scheduler = SchedulerConfig(
        "hrrn", num_queues=2, time_quanta_s=[1, 2], start_levels={"background": 7}
    )
    assert scheduler.time_quanta_s == (1.0, 2.0)
    assert scheduler.start_levels == {Priority.BACKGROUND: 1}
    assert Call("a", priority="batch").priority is Priority.BATCH
    assert Usage(1, 2).total_tokens == 3
    assert Config(lanes=3).groups == (LaneGroup("model", 3),)


def test_errors_keep_their_parts_across_processes() -> None:
    """What a worker process raises is whole where it arrives."""
    full = pickle.loads(pickle.dumps(QueueFull("full", ticket=3, agent="a", cause="queue_full")))
    assert (full.ticket, full.agent, full.cause) == (3, "a", "queue_full")
    reaped = pickle.loads(pickle.dumps(CallReaped("hung", ticket=4, cause="silence", held_s=2.0)))
    assert (reaped.ticket, reaped.cause, reaped.held_s, str(reaped)) == (4, "silence", 2.0, "hung")


def test_foreign_dump_is_refused() -> None:
    """A state of another format is not guessed at."""
    state = dump(Kernel(Config()))
    with pytest.raises(ConfigError, match="format=99: this version reads format 2"):
        load(Config(), {**state, "format": 99})
