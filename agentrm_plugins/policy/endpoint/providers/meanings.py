"""What a refusal means, in whatever words: a noun and what is wrong with it, in either order.

Providers' own sentences stand in their tables. These fit those of the many that nobody has listed:
resellers, house gateways, servers of one's own.
"""

from __future__ import annotations

from agentrm_plugins.types.provider import Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["MEANINGS"]

_MONEY = "credit|balance|fund|wallet|prepaid|deposit"
_HELD = "credit|fund|wallet|balance|deposit"
_PLAN = "subscription|trial"
_USAGE = "allowance|included usage|free usage"
_LACKING = "insufficient|not enough|not have enough|doesn't have enough|not sufficient"
_LACKING += "|no remaining|no more|no available|run out of|ran out of"
_GONE = "exhausted|depleted|used up|run out|ran out|overdrawn"
_SHORT = "insufficient|not enough|not sufficient|too low|negative|zero|empty"
_OVERDUE = "overdue|outstanding|past due|unpaid|declined|failed"
_NEEDED = "required|needed|necessary|must|need to|have to|please"
_PAYS = "payment method|payment|billing|credit card|card|payment details|billing details"

_TEXT = "prompt|input token|prompt token|context window|context size|context length"
_TEXT += "|sequence|sequence length|prompt length|input length|token count"
_TEXT += "|total number of tokens|total context"
# What may be anything (Go's context, a field called input) needs a word of length beside it.
_BARE = "context|input|messages|conversation"
_SIZE = "token|length|window|size"
_TOO_LONG = "overflow|too long|too large|too big"
_EXCEEDS = "exceed|exceeded|cannot exceed|over the"
_LONGER = "longer than|larger than|greater than|more than"
_MOST = "token limit|tokens limit|number of tokens|input length|prompt length|context length"
_MOST += "|context window|context size|model limit|max length|maximum length|maximum size"
_MOST += "|input token"

MEANINGS = Provider(
    name="in other words",
    source="sentences of gateways, resellers and local servers; nouns and verbs as they were met",
    words={
        "server|service|model|engine|system ... busy|overloaded|overload": Kind.OVERLOADED,
        "at capacity|out of capacity|no capacity|insufficient capacity": Kind.OVERLOADED,
    },
    billing=(
        f"{_LACKING}|out of|used all ... {_HELD}",
        f"{_MONEY} ... {_GONE}|{_SHORT}",
        f"{_MONEY}|{_PLAN} ... expired|ended|cancelled|canceled|inactive|required",
        f"plan|{_PLAN} ... expired|lapsed|is over|has ended",
        f"{_USAGE} ... {_GONE}",
        f"used all|used up|{_LACKING}|out of ... {_USAGE}",
        "0 credit|zero credit|0.00 credit ... left|remaining|available",
        "credits: 0|credits left: 0|balance: -|balance: 0|balance is -|balance is 0|balance of -",
        "unable|could not|couldn't|cannot|can't|failed ... charge|process|debit ... card|payment",
        "update ... payment method|payment details|credit card|billing details",
        "disabled|suspended|blocked|deactivated|paused ... billing|non-payment|nonpayment|payment",
        "no billing account|without a billing account",
        "billing account ... not linked|missing|required",
        "hard limit|spend limit|spending limit|spending cap|budget ... reached|been spent|used up",
        f"{_LACKING} ... in your account|on your account",
        f"no active|no valid|inactive|expired ... {_PLAN}|payment method",
        "negative balance|in arrears|credit limit reached|credit limit has been reached",
        f"invoice|payment|payment method|bill|card ... {_OVERDUE}",
        f"{_OVERDUE} ... invoice|payment|bill",
        "outstanding|overdue|past due|unpaid ... balance|amount",
        f"{_NEEDED} ... add|buy|purchase ... credit|fund|balance",
        "exceed|exceeded ... prepaid",
        "billing ... not enabled|disabled|not active|not set up|inactive",
        "add|buy|purchase|upgrade|subscribe|recharge|top up ... to continue|to proceed|to resume",
        f"{_NEEDED} ... add|set up|setup|provide|enter|register|attach ... {_PAYS}",
        f"recharge|top-up|top up|payment|deposit ... {_NEEDED}",
        "settle|pay ... bill|invoice|outstanding|balance|arrears",
        "account|workspace|organization ... frozen|in arrears|out of money",
        "$0.00|$0|0.00 usd|0 usd ... left|remaining|available",
    ),
    quota=(
        f"{_LACKING}|no|zero ... quota",
        f"quota ... {_GONE}|insufficient|not enough",
    ),
    too_long=(
        f"{_TEXT} ... {_EXCEEDS}|{_TOO_LONG}|{_LONGER}",
        f"{_BARE} ... {_TOO_LONG}",
        f"{_BARE} ... {_EXCEEDS}|{_LONGER} ... {_SIZE}",
        f"{_BARE} ... {_SIZE} ... {_EXCEEDS}|{_LONGER}",
        "context|conversation ... exceed|cannot exceed|over the ... limit|maximum",
        "context|conversation ... limit|maximum ... exceed|exceeded",
        f"exceed|exceeded|over|above|{_LONGER} ... {_MOST}",
        "model|context ... only supports|supports at most|can only|is only ... token",
        "token count|input length|prompt length ... only supports|only allows|only accepts",
        "input|prompt ... only supports|only allows|only accepts ... token",
        "too many ... token|input token|prompt token",
        "token limit|tokens limit ... exceeded",
        "not enough|insufficient|no ... context ... left|remaining|available",
        *("context size exceeded", "context size has been exceeded"),
        *("exceeded this model context window limit", "exceeds this model context window limit"),
        "shorten|reduce|truncate|trim ... prompt|messages|input|conversation|context",
        *("must be at least 1, got -", "expected maxlength: ", "超过模型最大"),
        *("message is too long", "input tokens exceeded"),
    ),
)
