"""What a cold store of another kind is made of."""

from __future__ import annotations

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.recall.rank import Candidate, Corpus
from agentrm_plugins.context.stores.base import Fence, Owned, Row, taken_over, written

__all__ = ["Candidate", "Corpus", "Fence", "Owned", "Passage", "Row", "taken_over", "written"]
