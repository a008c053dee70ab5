"""What stands behind a secret's name in a text: both sides of the rule in the cassettes' guide."""

from __future__ import annotations

import pytest

from agentrm_plugins.redaction import masked

HIDDEN = {
    "token: abcdefghij": "token: (hidden)",
    "token: correct horse": "token: (hidden) horse",
    "password: 123456": "password: (hidden)",
    "secret: hunter": "secret: (hidden)",
    "**Password:** hunter": "**Password:** (hidden)",
    "**API key:** `abcdefgh`": "**API key:** `(hidden)`",
    "Your API key: correct": "Your API key: (hidden)",
    "password:\n  hunter22\nuser: ada": "password:\n  (hidden)\nuser: ada",
    "Authorization: Bearer correcthorse": "Authorization: (hidden)",
    "Authorization: Basic abc12": "Authorization: (hidden)",
    "Cookie: sid=abc; theme=dark": "Cookie: (hidden)",
    "Set-Cookie: a=b1; Path=/\nx": "Set-Cookie: (hidden)\nx",
    "mysql --password hunter -u x": "mysql --password (hidden) -u x",
    "--api-key abcdef": "--api-key (hidden)",
    "AWS_SECRET_ACCESS_KEY=correcthorse": "AWS_SECRET_ACCESS_KEY=(hidden)",
    "passwd:correcthorse": "passwd:(hidden)",
    "the password api_key: abcd": "the password api_key: (hidden)",
    "cookies: chocolate-chip": "cookies: (hidden)",
    "Signature: John": "Signature: (hidden)",
    "api_key: strange1": "api_key: (hidden)",
    "token: 12345678": "token: (hidden)",
    "api_key=123456789012345678": "api_key=(hidden)",
    "--token 98765432109876": "--token (hidden)",
    "api_key: 1234.correcthorse": "api_key: (hidden)",
    "token: 123456:correcthorse": "token: (hidden)",
}
SHOWN = [
    "api_key: str | None = None",
    "password: Optional[str] = None",
    "def f(api_key: SecretStr) -> None",
    "token: string",
    "api_key: missing",
    "password: required",
    "password: This must be longer",
    "The token: a unit of text",
    "The API key is invalid",
    "my password is hunter",
    "tokens: hello",
    "token: 512",
    *("token: 1234.", "token: 1024/4096", "token limit: 99.5%", "token=1_000_000"),
    "first_token: 12",
    "--max-tokens 4096",
    "--token-limit 4096",
    "secret: the recipe",
    "cookie: 2026-05-01",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_whatever_a_secrets_name_stands_before_is_hidden(text: str) -> None:
    """Also a word of prose: that costs a second look, and a shown secret the key."""
    assert masked(text) == HIDDEN[text]


@pytest.mark.parametrize("text", SHOWN)
def test_code_plain_words_and_counts_stay(text: str) -> None:
    """An agent's code and a server's complaints are read by somebody."""
    assert masked(text) == text


def test_a_masked_text_stays_as_it_is() -> None:
    """A recording is scrubbed again when it is written again."""
    for text in (*HIDDEN.values(), *SHOWN):
        assert masked(text) == text
