"""Providers that number their errors, and send some of them with status 200.

Written "error 1302", a number counts only inside a provider's own error object: elsewhere it may
be anybody's. Written "base_resp 1002", it counts in an object of that name only: 1000 to 1004 mean
one thing to MiniMax and another to Zhipu.
Limits: a number that means two things to one of them (1039: tokens of a minute, or of a prompt) is
left to its words, and so is 1000 to 1004 outside of such an object.
"""

from __future__ import annotations

from agentrm_plugins.types.provider import Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["MINIMAX", "ZHIPU"]

# Each number and its meaning as that page has it, in November 2026; they come in
# `base_resp.status_code` of a 200.
MINIMAX = Provider(
    name="MiniMax",
    source="platform.minimax.io/docs/api-reference/errorcode",
    codes={
        "base_resp 1000": Kind.TRANSIENT,  # unknown error: later
        "base_resp 1001": Kind.TRANSIENT,  # a timeout: later
        "base_resp 1002": Kind.LIMIT,
        "base_resp 1004": Kind.PERMANENT,  # not authorized
        "error 1024": Kind.TRANSIENT,  # internal error: later
        "error 1026": Kind.PERMANENT,  # the content that was asked
        "error 1027": Kind.PERMANENT,  # the content that was given
        "error 1033": Kind.TRANSIENT,  # system error: later
        "error 1041": Kind.LIMIT,  # connections
        "error 2013": Kind.PERMANENT,  # parameters
        "error 2045": Kind.LIMIT,  # the rate grew too fast
        "error 2049": Kind.PERMANENT,  # the key
        "error 2056": Kind.PERMANENT,  # a plan's use of five hours
    },
    billing=("error 1008",),  # balance
)

# The two pages are one list in two languages. 1261, 1303 and 1312 stand in the second one only.
ZHIPU = Provider(
    name="Zhipu",
    source="docs.z.ai/api-reference/api-code and docs.bigmodel.cn/cn/api/api-code",
    codes={
        "error 1110": Kind.PERMANENT,  # the account is inactive,
        "error 1111": Kind.PERMANENT,  # not there,
        "error 1112": Kind.PERMANENT,  # locked,
        "error 1120": Kind.TRANSIENT,  # cannot be reached just now,
        "error 1121": Kind.PERMANENT,  # locked for good
        "error 1234": Kind.TRANSIENT,  # the network
        "error 1301": Kind.PERMANENT,  # the content
        "error 1302": Kind.LIMIT,  # calls at once, or their rate
        "error 1303": Kind.LIMIT,  # their rate
        "error 1304": Kind.PERMANENT,  # calls of a day
        "error 1305": Kind.LIMIT,  # traffic
        "error 1308": Kind.PERMANENT,  # a plan's use of some hours
        "error 1309": Kind.PERMANENT,  # a plan that ended
        "error 1310": Kind.PERMANENT,  # a plan's use of a week or a month
        "error 1311": Kind.PERMANENT,  # a model that the plan has not
        "error 1312": Kind.OVERLOADED,  # the model
    },
    billing=("error 1113",),  # arrears
    too_long=("error 1261",),
)
