"""Requests and answers: where they go, how they are sent and ended, what an error says."""

from __future__ import annotations

from agentrm_plugins.hosts.judgement import judge, judge_response
from agentrm_plugins.hosts.sending import acts, client_timeout_s, is_sent_once
from agentrm_plugins.hosts.shutting import Shutting, first_told
from agentrm_plugins.policy.endpoint.evidence import spoken
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.types.endpoint_name import host_of
from agentrm_plugins.types.verdicts import LimitReport, Verdict

__all__ = [
    "LimitReport",
    "Shutting",
    "Verdict",
    "acts",
    "client_timeout_s",
    "first_told",
    "host_of",
    "is_sent_once",
    "judge",
    "judge_response",
    "parse_report",
    "spoken",
]
