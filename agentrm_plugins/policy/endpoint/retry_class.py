"""What became of a call: does it pay to send it again, and what does it say of the endpoint?

Law: money and length decide first, then the provider's code, then the HTTP status, then the
server's own opinion (``x-should-retry``), then the exception's class; unknown is *permanent*, for
to repeat what is not understood is how storms begin.

- *limit*: 429 and its kin. Retry at the server's time; the rate is cut; no failure of the endpoint.
- *overloaded*: 503, 529. Retry later; the number of calls in flight is cut.
- *transient*: 408, 409, 425, 5xx, broken connections, timeouts, reaped calls. Retry.
- *permanent*: other 4xx, no money, content policy, context overflow, refusals of our own, whatever
  the server says not to retry.
- *neutral*: not the provider's doing: cancelled, interrupted, ended by the caller. Never a failure.

Regimes: an exception that shows nothing is judged by the one that it was raised from, or was made
with; a group, by its members, of which one that cannot be cured decides. A wait that is named makes
a limit of what is worded as a quota. What only means an account or a length, in nobody's listed
words, counts at the statuses that refuse for it, not beside a pace, a wait or a timeout. A code of
"429" inside a 200 or a 500 is a 429.

Limits: a daily limit without a code, a header or a wait cannot be told from an empty account.

Sources: the tables in `providers`; `openai._base_client._should_retry` for ``x-should-retry``.
"""

from __future__ import annotations

import re

from agentrm_plugins.policy.endpoint.evidence import Evidence, evidence_of, made_with
from agentrm_plugins.policy.endpoint.look_alikes import (
    is_of_other_things,
    is_paced,
    without_machines,
)
from agentrm_plugins.policy.endpoint.providers.libraries import UNREADABLE
from agentrm_plugins.policy.endpoint.tables import BUILT_IN, Tables, flat
from agentrm_plugins.policy.endpoint.times import wait_in_words_s
from agentrm_plugins.types.verdicts import Kind, Verdict

__all__ = ["classify", "classify_status", "examine", "judge_evidence"]

_CAUSES = 3  # an adapter's own error around the SDK's, and one more
_MEMBERS = 20
_SERVER_FAULT = 500
_TOO_MANY = 429
_PAYMENT = 402
_TOO_LARGE = 413
_OF_STATUS = frozenset({"ModelInvalidRequestError"})  # LangChain's for any 400: it adds nothing
_WORDY = frozenset({None, 400, 403})  # statuses of which the words may say more
_REFUSED = frozenset({400, _TOO_LARGE, 422})  # of which other words may mean a prompt's length
_OF_LENGTH = _WORDY | _REFUSED | {_SERVER_FAULT}
_OF_MONEY = frozenset({None, 400, _PAYMENT, 403, _TOO_MANY})  # and of these, an account
_HUMPS = re.compile(r"(?<=[a-z])(?=[A-Z])|[\W_]+")
_CLOSED_LOOP = ("event loop is closed", "different event loop", "different loop")
_UNREADABLE = frozenset(UNREADABLE)
# What langchain-openai and langchain-core raise for a 200 with nothing in it.
_EMPTY_NAMES = frozenset({"ValueError", "TypeError", "AttributeError"})
_EMPTY_ANSWER = (
    "unexpected response type from openai-compatible endpoint",
    "null value for 'choices'",
    "no generation chunks were returned",
    "'nonetype' object has no attribute 'error'",
    "'str' object has no attribute 'error'",
    "'str' object has no attribute 'model_dump'",
    "'list' object has no attribute 'model_dump'",
    "no embedding data received",
    "'str' object has no attribute 'data'",
    "'nonetype' object has no attribute 'data'",
)
_OPINIONS = {"true": True, "false": False}
_AGAIN = frozenset({Kind.LIMIT, Kind.OVERLOADED})


def classify_status(
    status: int,
    code: str = "",
    text: str = "",
    should_retry: bool | None = None,
    *,
    tables: Tables = BUILT_IN,
) -> Verdict:
    """Judge a response that is an error.

    Args:
        status: The HTTP status; below 400 it says nothing.
        code: The error's ``code``, or its ``type``.
        text: Its message, searched for a few words and not kept.
        should_retry: The server's own opinion, if it sent one.
        tables: What providers say.
    """
    known = status if status >= 400 else None  # noqa: PLR2004 - where HTTP's errors begin
    headers = {} if should_retry is None else {"x-should-retry": str(should_retry)}
    evidence = Evidence(status=known, codes=(code,) if code else (), text=text, headers=headers)
    verdict = judge_evidence(evidence, tables)
    return verdict or Verdict(Kind.PERMANENT, known, code)


def classify(error: BaseException, *, tables: Tables = BUILT_IN) -> Verdict:
    """Judge an exception of any library; one that says nothing, by what it was raised from."""
    return examine(error, tables)[0]


def examine(error: BaseException, tables: Tables = BUILT_IN) -> tuple[Verdict, Evidence]:
    """Judge an exception, and give what it was judged by: its headers and its text."""
    first = evidence = evidence_of(error)
    named: tuple[Verdict, Evidence] | None = None
    for _ in range(_CAUSES):
        if isinstance(error, BaseExceptionGroup):
            return _worst(error, tables)
        verdict = judge_evidence(evidence, tables)
        cause = error.__cause__
        if verdict is not None and (named is None or verdict.kind is not Kind.NEUTRAL):
            told = cause is None or evidence.status is not None
            if told or not _by_its_name_alone(verdict, evidence):
                return verdict, evidence
            named = named or (verdict, evidence)  # what it was raised from may know more
        cause = cause or made_with(error)
        if cause is None:
            break
        error = cause
        evidence = evidence_of(error)
    return named or (Verdict(Kind.PERMANENT, None, _telling(evidence.codes, tables)), first)


def _by_its_name_alone(verdict: Verdict, evidence: Evidence) -> bool:
    """Whether only its class says that it may go again, as LangChain's own errors do."""
    return not evidence.codes and not evidence.said and verdict.retryable


def _worst(group: BaseExceptionGroup[BaseException], tables: Tables) -> tuple[Verdict, Evidence]:
    """A group goes again if each of its members would."""
    judged = [examine(member, tables) for member in group.exceptions[:_MEMBERS]]
    return next((each for each in judged if not each[0].retryable), judged[0])


def judge_evidence(evidence: Evidence, tables: Tables = BUILT_IN) -> Verdict | None:
    """The verdict, or None if nothing in it says anything."""
    kinds = {*map(tables.names.get, evidence.names)}
    if Kind.NEUTRAL in kinds:
        return Verdict(Kind.NEUTRAL)
    if evidence.status is not None and not _OF_STATUS.isdisjoint(evidence.names):
        kinds = {*map(tables.names.get, evidence.names - _OF_STATUS)}
    status, codes = evidence.status, tuple(map(flat, evidence.codes))
    if evidence.said:  # a number in a provider's own error object (see `providers.numbered`)
        codes += tuple(map("error{}".format, filter(str.isdigit, codes)))
    text = " ".join(evidence.text.lower().split())
    code = _telling(evidence.codes, tables)
    if code and flat(code) not in tables.codes:  # a word like any other
        text = f"{text} {_HUMPS.sub(' ', code).lower()}"
    why = _why(evidence, codes, text, tables, speaks=Kind.LIMIT in kinds)
    opinion = _OPINIONS.get(str(evidence.headers.get("x-should-retry")).strip().lower())
    never = Kind.PERMANENT in kinds and opinion is not True
    if why or (never and not _says_again(codes, tables)):  # that, no class's name outweighs
        return Verdict(Kind.PERMANENT, status, code, why)
    kind = _by_code_or_status(evidence, codes, text, tables)
    if opinion is False and (kind is not None or status is not None):
        return Verdict(Kind.PERMANENT, status, code)
    if opinion is True and kind in {None, Kind.PERMANENT} and not _known(codes, tables):
        kind = Kind.TRANSIENT
    if kind is None and status is None:
        kind = _by_name(kinds, text, evidence)
        if kind is Kind.TRANSIENT and _is_unreadable(text, evidence):
            return Verdict(kind, None, code, "unreadable")
    return None if kind is None else Verdict(kind, status, code)


def _why(
    evidence: Evidence, codes: tuple[str, ...], text: str, tables: Tables, *, speaks: bool
) -> str:
    """The causes that no waiting cures: "billing", "too_long"; "" for none of them."""
    speaks = speaks or evidence.status is not None or bool(codes) or evidence.said
    if evidence.status == _PAYMENT or not tables.billing_codes.isdisjoint(codes):
        return "billing"
    if not tables.too_long_codes.isdisjoint(codes) or "ContextOverflowError" in evidence.names:
        return "too_long"
    if not speaks:
        return ""
    paced = is_paced(text) or _names_a_wait(evidence, tables)
    meant = not paced and evidence.status in _OF_MONEY
    spoken = without_machines(text)
    if tables.billing.found(spoken, meant=meant):
        return "billing"
    if not paced and tables.quota.found(spoken, meant=meant):
        return "billing"
    if evidence.status in _OF_LENGTH and _is_too_long(evidence.status, codes, text, tables):
        return "too_long"
    return ""


def _is_too_long(status: int | None, codes: tuple[str, ...], text: str, tables: Tables) -> bool:
    """Whether a prompt was too long: in a provider's words, or by what others mean by theirs."""
    meant = status in _REFUSED and not is_paced(text) and not is_of_other_things(text)
    meant = meant and not _says_again(codes, tables)
    return tables.too_long.found(text, meant=meant) or (meant and status == _TOO_LARGE)


def _names_a_wait(evidence: Evidence, tables: Tables) -> bool:
    return (
        not evidence.headers.keys().isdisjoint(tables.waits)
        or wait_in_words_s(evidence.text) is not None
    )


def _by_code_or_status(
    evidence: Evidence, codes: tuple[str, ...], text: str, tables: Tables
) -> Kind | None:
    status = evidence.status
    found = {*map(tables.codes.get, codes)}
    for kind in (Kind.PERMANENT, Kind.LIMIT, Kind.OVERLOADED):
        if kind in found:
            never = kind is Kind.LIMIT and tables.words[0][1].found(text)
            return Kind.PERMANENT if never else kind
    if status is None and Kind.TRANSIENT in found:
        return Kind.TRANSIENT
    by_status = None if status is None else _of_status(status, tables)
    spoken = status is not None or bool(codes) or evidence.said
    if spoken and (status in _WORDY or by_status in {Kind.LIMIT, Kind.TRANSIENT}):
        return _by_words(text, status, by_status, tables)
    return by_status


def _by_words(text: str, status: int | None, by_status: Kind | None, tables: Tables) -> Kind | None:
    """What the message adds to a status that says little."""
    for kind, phrases in tables.words:
        if not phrases.found(text):
            continue
        if kind is Kind.PERMANENT or by_status is not Kind.LIMIT:
            return by_status if kind is Kind.TRANSIENT and status is not None else kind
    return by_status


def _of_status(status: int, tables: Tables) -> Kind:
    known = tables.statuses.get(status)
    if known is not None:
        return known
    return Kind.TRANSIENT if status >= _SERVER_FAULT else Kind.PERMANENT


def _by_name(kinds: set[Kind | None], text: str, evidence: Evidence) -> Kind | None:
    for kind in (Kind.LIMIT, Kind.OVERLOADED, Kind.TRANSIENT):
        if kind in kinds:
            return kind
    closed = "RuntimeError" in evidence.names and any(words in text for words in _CLOSED_LOOP)
    again = closed or evidence.retryable or _is_unreadable(text, evidence)
    return Kind.TRANSIENT if again else None


def _is_unreadable(text: str, evidence: Evidence) -> bool:
    """Whether it says that a 200 was no answer."""
    if not _UNREADABLE.isdisjoint(evidence.names):
        return True
    told = not _EMPTY_NAMES.isdisjoint(evidence.names)
    return told and any(words in text for words in _EMPTY_ANSWER)


def _says_again(codes: tuple[str, ...], tables: Tables) -> bool:
    """Whether a code says more than the class, which an SDK chooses by the status alone."""
    return not _AGAIN.isdisjoint(map(tables.codes.get, codes))


def _known(codes: tuple[str, ...], tables: Tables) -> bool:
    return any(code in tables.codes for code in codes)


def _telling(codes: tuple[str, ...], tables: Tables) -> str:
    """The provider's word for it: the first that is known, or that is no number."""
    telling = ""
    for code in codes:
        plain = flat(code)
        if plain in tables.codes or plain in tables.billing_codes or plain in tables.too_long_codes:
            return code
        if not telling and not code.isdigit():
            telling = code
    return telling
