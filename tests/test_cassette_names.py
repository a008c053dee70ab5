"""Names that tools give to secrets: values under them are hidden in a cassette."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from agentrm_plugins.testing.cassettes import vcr_config
from agentrm_plugins.testing.cassettes.secret_names import is_numbered_secret, may_name_a_secret

SECRET = "hunter2-Sommer"
NAMES = [
    *("licence_key", "licenseKey", "encryption_key", "deployKey", "pw", "dbPw", "psk", "creds"),
    *(
        "authHeader",
        "sessionId",
        "connectionString",
        "DATABASE_URL",
        "seed_phrase",
        "recoveryCodes",
    ),
    *("cvv", "ssn", "iban", "webhook", "webhookUrl", "cardNumber", "user_pin", "TOTP", "mfaCode"),
    *("passwort", "Schlüssel", "contraseña", "clave", "senha", "mot_de_passe", "clé", "jeton"),
    *("wachtwoord", "hasło", "şifre", "lösenord", "nøkkel", "chiave", "parola", "heslo"),
    *(
        "пароль",
        "ключ",
        "密码",
        "登录密码",
        "密钥",
        "パスワード",
        "暗証番号",
        "비밀번호",
        "mật khẩu",
    ),
    *("كلمة المرور", "पासवर्ड", "kata_sandi", "accountNumber", "security_answer", "HTTPBearer"),
]
HARMLESS = [
    *("city", "sort_key", "primaryKey", "cache_key", "author", "authority", "passenger", "compass"),
    *("max_tokens", "tokens", "tokenizer", "keyboard", "keyword", "spinning", "opinion", "string"),
    *("url", "number", "phrase", "code", "connection", "clever", "chiaveless", "monkey", "名前"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_text_under_the_name_of_a_secret_is_hidden(name):
    """In a tool's arguments, also below such a name, in a list, and of a call in an answer."""
    given = json.dumps({"city": "Paris", name: SECRET, "deep": {name: {"of": [SECRET]}}})
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": given}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = json.dumps({"model": "m", "messages": [message]}).encode()
    there = {"method": "POST", "uri": "http://x.example/v1/chat/completions", "headers": {}}
    kept = vcr_config()["before_record_request"](SimpleNamespace(**there, body=body))
    assert SECRET not in kept.body.decode()
    assert "Paris" in kept.body.decode()


@pytest.mark.parametrize("name", HARMLESS)
def test_other_names_hide_nothing(name):
    """Whose words are parts of other words, or keys of other things."""
    assert not may_name_a_secret(name)


def test_a_number_under_the_name_of_a_pin_is_hidden():
    """And no other number; a schema's own words are none."""
    given = json.dumps({"pin": 4711, "cvv": 123, "count": 4711, "pin_tries": 3})
    schema = {"type": "object", "properties": {"pin": {"type": "integer", "title": "Your PIN"}}}
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": given}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = json.dumps({"model": "m", "messages": [message], "tools": [tool]}).encode()
    there = {"method": "POST", "uri": "http://x.example/v1/chat/completions", "headers": {}}
    kept = json.loads(
        vcr_config()["before_record_request"](SimpleNamespace(**there, body=body)).body
    )
    arguments = kept["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"pin": 0, "cvv": 0, "count": 4711, "pin_tries": 3}
    assert kept["tools"][0]["function"]["parameters"] == schema


@pytest.mark.parametrize("name", ["pin", "cardPin", "pin_code", "pin2", "db_pass", "otpValue"])
def test_a_number_of_a_secret_ends_its_name(name):
    """Or stands before what it is."""
    assert is_numbered_secret(name)


@pytest.mark.parametrize(
    "name", ["pass_count", "high_pass_hz", "total_pass", "tan_degrees", "city"]
)
def test_other_numbers_are_replayed(name):
    """A tool that is called again gets what it was called with."""
    assert not is_numbered_secret(name)
