"""Does the server give back what was reserved and not used? Learnt from what it says is left.

Law: if it keeps unused ``max_tokens``, each refund of ours makes our account too high by just that,
and the next report takes it off again: over many calls ``taken off / refunded`` is 1, else 0. While
nothing is given back, the same shows the other way round: what is found too little, against what
was held back.

Limits: a share between ``_MOST` proves nothing. Other things that make the account too
high (others on the same key) look alike; then it is too low by as much later, and is corrected.
"""

from __future__ import annotations

__all__ = ["Refunds"]

_CALLS = 5  # guessed: fewer prove nothing
_MOST = 0.6  # guessed
_FADE = 0.98  # per call: what was long ago counts less
_UNSURE = 4.0  # guessed: calls that end while a report is on its way


class Refunds:
    """Whether unused tokens come back. `kept` says that they do not."""

    __slots__ = ("_calls", "_found", "_unused", "kept")

    def __init__(self) -> None:
        self.kept = False
        self._calls = 0
        self._unused = 0.0
        self._found = 0.0

    def unit(self, mean: float) -> float:
        """What cannot be told apart: a request, or what some calls may have given back by now."""
        if mean <= 1.0:
            return 1.0
        return mean if self.kept else _UNSURE * mean

    def ended(self, reserved: float, used: float) -> float:
        """A call ended; gives what to take as used."""
        if used >= reserved:
            return used
        self._calls += 1
        self._unused = _FADE * self._unused + (reserved - used)
        self._found *= _FADE
        return reserved if self.kept else used

    def corrected(self, off: float) -> None:
        """A report moved our account by `off`; below zero it was too high."""
        self._found += off if self.kept else -off
        self._found = max(0.0, self._found)
        if self._calls >= _CALLS and self._found > _MOST * self._unused:
            self.kept = not self.kept
            self._calls, self._unused, self._found = 0, 0.0, 0.0
