"""How many examples Hypothesis tries: few and the same in the gate, many and new ones on demand.

HYPOTHESIS_PROFILE=thorough make pytest PYTEST_ARGS='tests/kernel tests/policy --timeout=0'
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
TIMES = 25


def effort(examples: int, **more: Any) -> settings:
    """So many examples in the gate, the same in each run; with the profile, 25 times as many."""
    return settings(
        max_examples=examples * TIMES if THOROUGH else examples,
        derandomize=not THOROUGH,
        deadline=None,
        database=None,
        **more,
    )
