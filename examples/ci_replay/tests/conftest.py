import os

import pytest

from agentrm_plugins.testing.cassettes import vcr_config as scrubbed

os.environ.setdefault("OPENAI_API_KEY", "test-key")  # the client wants one; a replay sends nothing


@pytest.fixture(scope="session")
def vcr_config():
    return scrubbed()
