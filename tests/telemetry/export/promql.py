"""Enough of PromQL to know which metrics and labels an expression names."""

from __future__ import annotations

import re

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"\b([a-z_][a-z0-9_]*_[a-z0-9_]+)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"([a-z_][a-z0-9_]*)\s*(?:=~|!~|!=|=)\s*\"((?:[^\"\\]|\\.)*)\"")
_BY = re.compile(r"\bby\s*\(([^)]*)\)")
_WORDS = {"histogram_quantile", "key_fingerprint", "label_values", "__rate_interval"}


def metrics_of(expression):
    """Each metric that the expression names, with its matchers."""
    found = []
    for name, matchers in _SELECTOR.findall(expression):
        if name.startswith("agentrm_"):
            found.append((name, dict(_MATCHER.findall(matchers))))
        else:
            assert name in _WORDS, f"{name}: what is that?"
    return found


def grouped_by(expression):
    """The labels by which it groups."""
    bare = _STRING.sub('""', expression)
    return {label.strip() for group in _BY.findall(bare) for label in group.split(",")}
