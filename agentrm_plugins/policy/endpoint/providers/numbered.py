"""Providers that number their errors, and send some of them with status 200.

Written "error 1302", a number counts only inside a provider's own error object: elsewhere it may
be anybody's.
Limits: numbers that mean one thing to one of them and another to the other (1000 to 1004), or two
things to one (1039: tokens of a minute, or of a prompt), are left to their words.
"""

from __future__ import annotations

from agentrm_plugins.types.provider import Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["MINIMAX", "ZHIPU"]

MINIMAX = Provider(
    name="MiniMax",
    source="platform.minimax.io: error codes, in `base_resp.status_code` of a 200",
    codes={
        "error 1013": Kind.TRANSIENT,
        "error 1024": Kind.TRANSIENT,
        "error 1026": Kind.PERMANENT,  # the content, asked or given
        "error 1027": Kind.PERMANENT,
        "error 1033": Kind.TRANSIENT,
        "error 1041": Kind.LIMIT,
        "error 2013": Kind.PERMANENT,
        "error 2045": Kind.LIMIT,
        "error 2049": Kind.PERMANENT,
    },
    billing=("error 1008",),
)

ZHIPU = Provider(
    name="Zhipu",
    source="docs.bigmodel.cn and docs.z.ai: error codes",
    codes={
        "error 1110": Kind.PERMANENT,
        "error 1111": Kind.PERMANENT,
        "error 1112": Kind.PERMANENT,
        "error 1301": Kind.PERMANENT,  # the content
        "error 1302": Kind.LIMIT,
        "error 1303": Kind.LIMIT,
        "error 1305": Kind.LIMIT,
        "error 1309": Kind.PERMANENT,  # a plan that ended
        "error 1312": Kind.OVERLOADED,
    },
    billing=("error 1113",),
    too_long=("error 1261",),
)
