"""Requests and answers: where they go, how they may be sent, what an error or a header says."""

from __future__ import annotations

from agentrm_plugins.hosts.judgement import judge, judge_response
from agentrm_plugins.hosts.sending import client_timeout_s, is_sent_once
from agentrm_plugins.types.endpoint_name import host_of
from agentrm_plugins.types.verdicts import LimitReport, Verdict

__all__ = [
    "LimitReport",
    "Verdict",
    "client_timeout_s",
    "host_of",
    "is_sent_once",
    "judge",
    "judge_response",
]
