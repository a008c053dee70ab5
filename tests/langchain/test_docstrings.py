"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest

pytestmark = pytest.mark.lowest

MODULES = ["agentrm_langchain", "agentrm_langchain.callbacks", "agentrm_langchain.wrap"]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name):
    """Each prints what it promises."""
    module = importlib.import_module(name)
    names = {key: getattr(module, key) for key in dir(module)}
    result = doctest.testmod(module, extraglobs=names)
    assert (result.failed, result.attempted > 0) == (0, True)
