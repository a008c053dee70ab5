"""Amazon Bedrock, as botocore raises its errors: no header tells of a limit."""

from __future__ import annotations

from agentrm_plugins.types.provider import Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["BEDROCK"]

BEDROCK = Provider(
    name="Amazon Bedrock",
    source="docs.aws.amazon.com/bedrock: InvokeModel and Converse, errors; botocore's retry codes",
    statuses={424: Kind.TRANSIENT},
    codes={
        "ThrottlingException": Kind.LIMIT,
        "Throttling": Kind.LIMIT,
        "ThrottledException": Kind.LIMIT,
        "RequestThrottled": Kind.LIMIT,
        "RequestThrottledException": Kind.LIMIT,
        "RequestLimitExceeded": Kind.LIMIT,
        "TooManyRequestsException": Kind.LIMIT,
        "ProvisionedThroughputExceededException": Kind.LIMIT,
        "SlowDown": Kind.OVERLOADED,
        "ServiceUnavailableException": Kind.OVERLOADED,
        "ModelNotReadyException": Kind.OVERLOADED,
        "InternalServerException": Kind.TRANSIENT,
        "ModelErrorException": Kind.TRANSIENT,
        "ModelStreamErrorException": Kind.TRANSIENT,
        "ModelTimeoutException": Kind.TRANSIENT,
        "RequestTimeout": Kind.TRANSIENT,
        "RequestTimeoutException": Kind.TRANSIENT,
        "ValidationException": Kind.PERMANENT,
        "AccessDeniedException": Kind.PERMANENT,
        "ResourceNotFoundException": Kind.PERMANENT,
        "ServiceQuotaExceededException": Kind.PERMANENT,
        "ExpiredTokenException": Kind.PERMANENT,
        "UnrecognizedClientException": Kind.PERMANENT,
    },
    billing=("INVALID_PAYMENT_INSTRUMENT", "valid payment instrument"),
    too_long=("input is too long for requested model", "too many input tokens"),
)
