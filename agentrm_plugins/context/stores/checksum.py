"""A saved state with a checksum, so that a damaged one is known and never taken for a good one.

Law: ``agentrm-state BLAKE2b-16 in hex, newline, state``. Any flipped bit, in either part, and any
cut is found but for one in 2^128.
"""

from __future__ import annotations

import hashlib
import hmac

__all__ = ["opened", "sealed"]

_HEAD = b"agentrm-state "


def _sum_of(state: bytes) -> bytes:
    return hashlib.blake2b(state, digest_size=16).hexdigest().encode("ascii")


def sealed(state: bytes) -> bytes:
    """Write a state's checksum before it."""
    return b"".join((_HEAD, _sum_of(state), b"\n", state))


def opened(data: bytes) -> bytes:
    """Give the state back.

    Raises:
        ValueError: It is damaged, or was saved without a checksum.
    """
    head, line, state = bytes(data).partition(b"\n")
    if not line or not head.startswith(_HEAD):
        raise ValueError("it has no checksum")
    if not hmac.compare_digest(head[len(_HEAD) :], _sum_of(state)):
        raise ValueError("its checksum is not that of what is there")
    return state
