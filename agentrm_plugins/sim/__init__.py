"""The scheduler in virtual time: seeded workloads over the same kernel, without thread or sleep."""

from agentrm_plugins.sim.engine import CLAIRVOYANT, Model, run_model, simulate
from agentrm_plugins.sim.measure import Measures, measure, median
from agentrm_plugins.sim.report import comparison, losses, table
from agentrm_plugins.sim.scenarios import SCENARIOS, Scenario, scenario
from agentrm_plugins.sim.workload import Fate, Turn, Workload

__all__ = [
    "CLAIRVOYANT",
    "SCENARIOS",
    "Fate",
    "Measures",
    "Model",
    "Scenario",
    "Turn",
    "Workload",
    "comparison",
    "losses",
    "measure",
    "median",
    "run_model",
    "scenario",
    "simulate",
    "table",
]
