"""What may be shown of a value that somebody gave us: short, and never a secret.

Law: a text is masked before it is cut, so that no half of a secret remains. A secret is known by
its shape (the prefixes that issuers document, tokens of three parts, long runs that mix letters
and digits), or by the name that it stands under. Both err on the side of hiding: a hidden harmless
word costs a second look, a shown secret costs the key. So a word of four characters or more behind
a secret's name and ``:``, ``=``, ``>``, or as ``--name word``, is hidden, whatever it looks like,
but for code (``None``, ``str``, a call), some forty words of which no secret consists (``must``,
``required``) and, where the name is no password's, numbers of up to six digits and dates.

Limits: ``name = value`` in small letters is a program's; "my password is hunter" is a sentence.
"""

from __future__ import annotations

import re
from reprlib import Repr
from typing import Any, cast

__all__ = ["HIDDEN", "kind_of", "masked", "names_a_secret", "shown", "without_login"]

HIDDEN = "(hidden)"
_MOST_CHARS = 200
_SHOWN_BITS = 256
"""Larger whole numbers are told by their size: Python itself refuses to print 4,300 digits."""

_SHAPES = re.compile(
    r"""
      \b(?:sk|pk|rk|ak|sess|gsk|xai|hf|nvapi|pplx|tgp|fw|csk|r8|key|lsv2|dop|npm|pypi|whsec|bot)
        [-_][\w*.+/=-]{6,}                          # OpenAI, Anthropic, Groq, xAI, Hugging Face ...
    | \b(?:gh[pousr]|github_pat|glpat|xox[a-z]|shp(?:at|ss)|sq0[a-z]{3}|SG|EAA)[-_.][\w.-]{8,}
    | \b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{12,}         # AWS key ids
    | \bAIza[\w-]{20,} | \bya29\.[\w.-]{8,} | \b1//[\w-]{16,}    # Google
    | \beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?         # JSON web tokens
    | (?i:\b(?:bearer|basic|token|apikey)\s+)[\w.~+/=-]{6,}
    | \b(?:org|proj|orgid|wrkspc|acct)[-_][\w-]{3,}  # accounts
    | -----BEGIN[A-Z ]*PRIVATE\ KEY-----[\s\S]*?(?:-----END[A-Z ]*-----|$)
    | (?<=://)[^\s/@'"]+(?=@)                        # user and password of a URL
    | (?<![\w-])[0-9a-fA-F]{32,}(?![\w-])            # hexadecimal keys, such as Azure's
    | (?<![\w+/=.-])(?=[\w+/-]*[0-9])(?=[\w+/-]*[a-z])(?=[\w+/-]*[A-Z])[\w+/-]{20,}={0,2}
    """,
    re.VERBOSE,
)
_WORDS = (
    r"api[-_ ]?key|apikey|access[-_ ]?key|secret(?!ar[iy]|ion)|passw(?:or)?d|passphrase|"
    r"authori[sz]ation|credentials?|cookie|private[-_ ]?key|pwd|signature|session[-_ ]?key|"
    r"(?<!first[-_ ])token(?!s|i[sz][ae])|x-amz-[\w-]{1,64}+|subscription[-_ ]?key"
)
# The time to a first token is no secret: it is a setting of ours, and of half of the field.
_RUN = r"[^\s'\"`(){}\[\]<>,;&]"
_BARE = rf"(?={_RUN}{{4}})(?:{_RUN}|&(?!\w+=))+"
_NAMED = re.compile(
    # Only where a name begins, and with a bounded rest: else a long name is read again and again.
    rf"""(?P<pairs>(?<![\w-])(?:set-)?cookie:[ ]?)(?=[\w.-]{{1,64}}=)[^\n'"]+
    | (?P<name>(?<![\w-])(?P<dash>--?)?[\w-]*(?:{_WORDS})[\w-]{{0,64}}+)(?:
        (?P<mark>['"]?\s{{0,8}}[:=]\s{{0,8}})(?P<quote>['"])(?:\\.|(?!(?P=quote)).)*(?P=quote)
      | (?P<bare>  # without quotes, as shells, XML, headers and people write it
          =(?![=>]) | (?<!-)>(?!=) | :\*{{0,2}}\s{{0,8}}[*`]{{0,2}}
          | (?<=(?-i:[A-Z]))[ ]=[ ](?={_RUN}{{6}})(?=[\w-]*[a-z])(?=[\w-]*\d)
        )(?P<value>(?:(?:bearer|basic|token|digest|apikey)[ ]{{1,8}})?{_BARE})
      | (?(dash)(?P<flag>[ ])(?![-:=])(?P<flagged>{_BARE})|(?!))
    )
""",
    re.IGNORECASE | re.VERBOSE,
)
_PASSWORD = re.compile(r"passw|passphrase|pwd|secret", re.IGNORECASE)
_COUNT = re.compile(
    r"(?:\d{1,6}(?:[./]\d{1,6})?%?|\d{1,3}(?:_\d{3}){1,2}|\d{4}-\d\d-\d\d)\W{0,8}$"
)  # the whole of it: more digits, or what begins with a number, may be a key
# What stands for a secret in a program, and is none: `token=None`, `api_key: str`.
_CODE = re.compile(
    r"(?:none|null|true|false|undefined|nil|string|bytes|bool|boolean|float|number|integer|text"
    r"|secretstr|object)(?![\w-])",
    re.IGNORECASE,
)
_CALL = re.compile(r"[a-z_][\w.]{0,80}$", re.IGNORECASE)
# Words of which no secret consists.
_PLAIN = re.compile(
    r"(?:this|that|these|they|must|should|will|with|when|what|from|your|have|please|field|value"
    r"|input|required|optional|missing|invalid|incorrect|wrong|expired|empty|unset|unknown|"
    r"same|here|only|also|used|each|more|never)(?![\w-])",
    re.IGNORECASE,
)
_IN_QUERY = re.compile(
    rf"([?&](?:[\w-]*(?:{_WORDS})[\w-]{{0,64}}+|key|sig|auth|code)=)[^&\s'\"]+", re.IGNORECASE
)
_NAME = re.compile(
    rf"(?:{_WORDS})|^key$|^auth[-_](?:header|data)$"
    r"|(?:^|[-_.])(?:auth|jwt|pat|pin|otp|pwd|pass|passcode|bearer|dsn)$",
    re.IGNORECASE,
)


_LOGIN = re.compile(r"\A([^/]*//)?.*@", re.DOTALL)  # greedy: a password may hold an @ of its own


def without_login(address: str) -> str:
    """An address of a server without its user and password, with or without a scheme."""
    return _LOGIN.sub(lambda found: f"{found[1] or ''}{HIDDEN}@", address)


def names_a_secret(name: str) -> bool:
    """Whether what stands under this name is a secret: "api_key", "Authorization", "token"."""
    return _NAME.search(name) is not None


def masked(text: str) -> str:
    """Give the text with everything hidden that looks like a secret, or is called one."""
    text = _IN_QUERY.sub(rf"\g<1>{HIDDEN}", text)
    text = _NAMED.sub(_hidden, text)
    return _SHAPES.sub(HIDDEN, text)


def _hidden(found: re.Match[str]) -> str:
    pairs, name, _, mark, quote, bare, value, flag, flagged = found.groups()
    if pairs:
        return f"{pairs}{HIDDEN}"
    if quote:
        return f"{name}{mark}{quote}{HIDDEN}{quote}"
    if _is_none(name, value or flagged, found.string[found.end() : found.end() + 1]):
        return found.group()
    return f"{name}{bare or flag}{HIDDEN}"


def _is_none(name: str, value: str, behind: str) -> bool:
    """Whether what stands behind a secret's name, without quotes, is surely none."""
    if _CODE.match(value) or _PLAIN.match(value):
        return True
    if behind and behind in "([" and _CALL.match(value):
        return True
    return _COUNT.match(value) is not None and _PASSWORD.search(name) is None


class _Short(Repr):
    """`repr`, bounded in depth and length, that cannot fail."""

    def __init__(self) -> None:
        super().__init__()
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = 12

    def repr_int(self, x: int, level: int) -> str:  # noqa: ARG002 - reprlib's hook
        """A whole number of usual size, or its size."""
        if x.bit_length() <= _SHOWN_BITS:
            return repr(x)
        return f"<a whole number of {x.bit_length()} bits>"

    def repr_str(self, x: str, level: int) -> str:  # noqa: ARG002 - reprlib's hook
        """A text, masked before it is cut."""
        return repr(_cut(masked(x[: 40 * _MOST_CHARS])))

    def repr_bytes(self, x: bytes, level: int) -> str:  # noqa: ARG002 - reprlib's hook
        """Only how many they are."""
        return f"<{len(x)} bytes>"

    repr_bytearray = repr_memoryview = repr_bytes

    def repr_instance(self, x: Any, level: int) -> str:  # noqa: ARG002 - reprlib's hook
        """Whatever else there is, as it shows itself if it can."""
        try:
            text = repr(x)
        except Exception:  # noqa: BLE001 - a foreign object may fail in any way
            text = f"<{type(x).__name__}>"
        return _cut(masked(text))


def _cut(text: str) -> str:
    if len(text) <= _MOST_CHARS:
        return text
    return f"{text[: _MOST_CHARS - 20]}...{text[-17:]}"


_SHORT = _Short()


def kind_of(value: object) -> str:
    """Say what a value is, and nothing of it: "an int", "the class ChatOpenAI", "a function"."""
    if value is None:
        return "None"
    if issubclass(type(value), type):  # a dead weak proxy has a type, and no `__class__`
        return _cut(f"the class {cast('type', value).__name__}")
    name = type(value).__name__
    return _cut(f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}")


def shown(value: object, name: str = "") -> str:
    """Give what an error's text may show of a value: at most about 200 characters, no secret.

    Args:
        value: Anything at all; a number of a million digits and an object that cannot be printed
            included.
        name: What it is called; a text under the name of a secret is hidden whole.
    """
    if isinstance(value, str | bytes) and names_a_secret(name):
        return repr(HIDDEN)
    return _cut(masked(_SHORT.repr(value)))
