from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import yaml

from agentrm_plugins.testing.cassettes import vcr_config
from cassettes.record import FOLDER

CASSETTES = sorted(FOLDER.glob("**/*.yaml"))
FORBIDDEN = {
    "a key": re.compile(r"\b(sk|sess|pk)-[\w-]{6,}|test-key", re.IGNORECASE),
    "an authorization": re.compile(r"authorization|bearer|api-key|cookie", re.IGNORECASE),
    "an organisation": re.compile(r"\borg-\w+|\bproj_\w+|openai-organization", re.IGNORECASE),
    "a machine's path": re.compile(r"/(home|root|Users|work|tmp|var)/\w|[A-Z]:\\\\"),
    "a machine": re.compile(r"x-stainless|user-agent|127\.0\.0\.1|localhost", re.IGNORECASE),
}


def test_there_are_cassettes():
    """The scrub test would be empty without any."""
    assert len(CASSETTES) >= 6


@pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.stem)
def test_no_secret_is_in_a_cassette(path):
    """No key, no authorization, no organisation, no path or name of the recording machine."""
    text = path.read_text()
    for what, pattern in FORBIDDEN.items():
        assert not pattern.search(text), f"{what} in {path.name}"
    for interaction in yaml.safe_load(text)["interactions"]:
        assert set(interaction["request"]["headers"]) <= {"accept", "content-type", "host"}
        assert interaction["request"]["uri"].startswith("https://api.openai.com/v1/")


def test_the_scrubber_removes_what_a_real_provider_sends():
    """Keys echoed in an error, cookies, organisations and unknown headers are not written."""
    scrub = vcr_config()["before_record_response"]
    key = "sk" + "-proj-abcdef123456"
    dirty = {
        "status": {"code": 401, "message": "Unauthorized"},
        "headers": {
            "Content-Type": ["application/json"],
            "X-RateLimit-Remaining-Tokens": ["5"],
            "retry-after": ["1"],
            "set-cookie": ["session=1"],
            "openai-organization": ["acme"],
            "x-request-id": ["req_1"],
        },
        "body": {"string": f"Incorrect API key: {key}, in org-AbC123 of proj_Xyz".encode()},
    }
    clean = scrub(dirty)
    assert set(clean["headers"]) == {
        "Content-Type",
        "X-RateLimit-Remaining-Tokens",
        "retry-after",
    }
    assert clean["body"]["string"] == b"Incorrect API key: scrubbed, in scrubbed of scrubbed"
    assert key.encode() in dirty["body"]["string"]
    asked = SimpleNamespace(
        uri="http://127.0.0.1:8080/v1/models?limit=2",
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    kept = vcr_config()["before_record_request"](asked)
    assert kept.uri == "https://api.openai.com/v1/models?limit=2"
    assert kept.headers == {"Content-Type": "application/json", "host": "api.openai.com"}
