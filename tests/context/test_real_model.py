"""Recall by meaning with a real model: static embeddings that a package ships, without a network.

The package is one of the developers' (the group `dev`); its vectors are means of word vectors (256
numbers), so that a passage takes microseconds and nothing heavier than numpy.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from agentrm_plugins.config.context import ContextConfig
from benchmarks.context.asking import played
from benchmarks.context.kinds import reworded

# Here, not in the fixture: numpy can be loaded once in a process, and some tests unload modules.
wordllama = pytest.importorskip("wordllama", reason="ships a model; of the group `dev`")

LEAST = 0.7
"""Of the facts asked for in other words. Measured on six talks: 70 to 87 %, and 23 by words."""


@pytest.fixture(scope="module")
def embed():
    """Give a function from texts to vectors: the package looks for its files in its own folder."""
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    return lambda texts: model.embed(list(texts), norm=True).tolist()


@pytest.mark.parametrize("told", ["first", "second"])
def test_facts_asked_for_in_other_words_are_found(embed, told):
    """At least 70 % in a window of 4,000 tokens, where words alone find a quarter."""
    talk = reworded(1, told=told)
    with_model = played(talk, ContextConfig(budget_tokens=4_000, embeddings=embed))
    by_words = played(talk, ContextConfig(budget_tokens=4_000))
    assert with_model.kept >= LEAST * with_model.asked
    assert by_words.kept < with_model.kept
    assert with_model.over_budget == with_model.invalid == with_model.task_lost == 0
