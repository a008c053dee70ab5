"""What exceptions of HTTP libraries, frameworks and Python itself are called."""

from __future__ import annotations

from agentrm_plugins.types.provider import Provider
from agentrm_plugins.types.verdicts import Kind

__all__ = ["LIBRARIES", "UNREADABLE"]

_NEUTRAL = ("CancelledError", "GraphBubbleUp", "GeneratorExit", "KeyboardInterrupt", "SystemExit")
_PERMANENT = (
    # ours, LangChain's and the SDKs'
    *("ContextOverflowError", "ModelRefusalError", "CallRefused", "ClosedError", "ConfigError"),
    *("ModelAuthenticationError", "ModelInvalidRequestError", "ContentFilterFinishReasonError"),
    "LengthFinishReasonError",
    # a connection that will never be made, a certificate that stays wrong
    *("SSLCertVerificationError", "CertificateError", "ClientConnectorCertificateError"),
    *("UnsupportedProtocol", "LocalProtocolError", "InvalidURL", "InvalidSchema", "MissingSchema"),
    "TooManyRedirects",
)
_LIMIT = ("ModelRateLimitError", "RateLimitError", "ResourceExhausted")
_OVERLOADED = ("ServiceUnavailableError", "ServiceUnavailable", "OverloadedError")
_TRANSIENT = (
    # ours, LangChain's and the SDKs'
    *("CallReaped", "ModelTimeoutError", "ModelConnectionError", "StreamChunkTimeoutError"),
    *("APIConnectionError", "APITimeoutError"),
    # Python
    *("TimeoutError", "ConnectionError", "SSLError", "gaierror", "IncompleteReadError"),
    *("IncompleteRead", "BadStatusLine", "ImproperConnectionState"),
    # httpx and httpcore, anyio
    *("TransportError", "NetworkError", "TimeoutException", "RemoteProtocolError"),
    *("DecodingError", "BrokenResourceError", "ClosedResourceError", "EndOfStream"),
    # requests and urllib3
    *("Timeout", "ChunkedEncodingError", "ContentDecodingError", "ProtocolError"),
    *("NewConnectionError", "MaxRetryError", "ReadTimeoutError", "ConnectTimeoutError"),
    # aiohttp
    *("ClientConnectionError", "ClientPayloadError"),
    # botocore
    *("EndpointConnectionError", "ConnectionClosedError", "HTTPClientError"),
    "ResponseStreamingError",
    # google.api_core and gRPC
    *("DeadlineExceeded", "InternalServerError", "GatewayTimeout", "BadGateway"),
)
# An answer that is none: a proxy's page, half a body, nothing at all.
UNREADABLE = (
    *(
        "JSONDecodeError",
        "UnicodeDecodeError",
        "APIResponseValidationError",
        "UnreadableAnswer",
        "WordyAnswer",
    ),
    *("ResponseValidationError", "NoResponseError", "UnknownApiResponseError"),
    *("ResponseParserError", "ContentTypeError"),
    *("SSEError", "ChecksumMismatch", "InvalidHeadersLength", "InvalidPayloadLength"),
)

LIBRARIES = Provider(
    name="libraries",
    source="the exceptions of openai, anthropic, httpx, requests, urllib3, aiohttp, botocore, "
    "google.api_core, langchain_core and Python 3.11, as their packages define them",
    codes=dict.fromkeys(
        ("ENETDOWN", "ENETUNREACH", "ENETRESET", "EHOSTDOWN", "EHOSTUNREACH"), Kind.TRANSIENT
    ),
    names={
        **dict.fromkeys((*_TRANSIENT, *UNREADABLE), Kind.TRANSIENT),
        **dict.fromkeys(_OVERLOADED, Kind.OVERLOADED),
        **dict.fromkeys(_LIMIT, Kind.LIMIT),
        **dict.fromkeys(_PERMANENT, Kind.PERMANENT),
        **dict.fromkeys(_NEUTRAL, Kind.NEUTRAL),
    },
)
