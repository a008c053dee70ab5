"""What may be written into a cassette: names of headers, of query parameters and of JSON fields.

The names are those of the chat, responses, embeddings, messages (Anthropic) and generateContent
(Google) APIs that matching or replaying a call of a model needs. Whatever is not here is not
written: an identifier of a user or an account, an address, a key in a field that nobody knows.
"""

from __future__ import annotations

import re

__all__ = [
    "FIELDS",
    "ID_FIELDS",
    "KNOWN_ID",
    "MEDIA_FIELDS",
    "MODEL_HOLDERS",
    "PATH",
    "QUERY",
    "REQUEST_HEADERS",
    "RESPONSE_HEADERS",
    "SCHEMA_FIELDS",
    "SEALED_FIELDS",
    "SEALED_WORDS",
    "TALLY_FIELDS",
]

_MEDIA = (
    r"(?:(?:application|text)/(?:\*|json|[a-z.]{1,20}\+json|x-amz-json-1\.[01]|x-ndjson|ndjson|jsonl"
    r"|event-stream|plain|html|xml|csv|markdown|pdf|octet-stream|x-www-form-urlencoded|javascript"
    r"|vnd\.amazon\.eventstream)"
    r"|(?:audio|image|video)/(?:\*|[a-z0-9]{1,5}|svg\+xml|x-wav)|multipart/form-data|\*/\*)"
)
_CHARSET = r"(?:utf-?8|us-ascii|iso-8859-1|latin-?1)"
_SOUND = r"codecs?=(?:\d|opus|vorbis|pcm)|rate=\d{4,6}|channels=\d"
REQUEST_HEADERS = {
    "accept": re.compile(rf"{_MEDIA}(?:, ?{_MEDIA})*"),
    "content-type": re.compile(
        rf"{_MEDIA}(?:; ?(?:charset=(?:{_CHARSET}|\"{_CHARSET}\")|{_SOUND}))*", re.IGNORECASE
    ),
    "host": re.compile(r"[\w.:-]+"),
}
"""Each with what its value may be."""

_NUMBER = r"(?:\d[\d,]{0,12}(?:\.\d{0,9})?|\.\d{1,9})"
_AMOUNT = re.compile(
    rf"{_NUMBER}(?:,? {_NUMBER})*"
    r"|(?:\d+(?:\.\d+)?(?:ms|us|s|m|h|d))+"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
)
_DATE = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
_PARAMETER = r'(?:; ?(?:q|w|r|t|l)=\d{1,12}|; ?qu="[a-z-]{1,16}")'
_ITEM = rf'(?:"?[a-z][a-z0-9_-]{{0,15}}"?{_PARAMETER}+|(?:limit|remaining|reset)=\d{{1,12}})'
_POLICY = re.compile(rf"{_ITEM}(?:, ?{_ITEM})*")
_LIMIT = re.compile(
    r"(?:x-|anthropic-|llm_provider-x-)?ratelimit-(?:(?:limit|remaining|reset|used)(?:-[a-z_-]+)?"
    r"|[a-z_-]+-(?:limit|remaining|reset))",
    re.IGNORECASE,
)
RESPONSE_HEADERS = (
    (re.compile(r"content-type", re.IGNORECASE), REQUEST_HEADERS["content-type"]),
    (re.compile(r"retry-after(?:-ms)?", re.IGNORECASE), re.compile(rf"{_AMOUNT.pattern}|{_DATE.pattern}")),
    (re.compile(r"x-should-retry", re.IGNORECASE), re.compile(r"true|false", re.IGNORECASE)),
    (re.compile(r"ratelimit(?:-policy)?", re.IGNORECASE), _POLICY),
    (_LIMIT, _AMOUNT),
)
"""Names, each with what its value may be: a limit is an amount, a time or a date, and no text."""

PATH = frozenset(
    """
    v1 v2 v3 v4 v1alpha v1beta v1beta1 v1beta2 api beta openai anthropic google inference compatible-mode
    compatibility serverless paas engines deployments models model tunedModels publishers locations projects
    chat completions completion responses embeddings embed messages count_tokens complete generate
    generateContent streamGenerateContent countTokens embedContent batchEmbedContents predict
    rawPredict streamRawPredict converse converse-stream invoke invoke-with-response-stream rerank score classify tokenize
    detokenize images generations edits variations audio speech transcriptions translations videos
    moderations realtime sessions files content batches batch uploads parts cancel complete fine_tuning
    jobs events checkpoints vector_stores file_batches search threads runs steps assistants
    submit_tool_outputs input_items input_tokens conversations items containers tags show ps version
    organization usage costs health ping fim agents ocr
    """.split()
)
"""Words of the paths of model APIs; any other part of a path may be a key or an account."""
MODEL_HOLDERS = frozenset({"models", "model", "tunedModels", "engines", "deployments"})
"""Behind these a path names a model; behind the first in two parts as well, of owner and name."""

_VERSION = re.compile(r"v?\d[\d.]{0,9}|\d{4}-\d\d-\d\d(?:-preview)?|latest|preview")
_SWITCH = re.compile(r"true|false|0|1", re.IGNORECASE)
QUERY = {
    "api-version": _VERSION,
    "alt": re.compile("sse|json|media|proto"),
    "beta": _SWITCH,
    "limit": re.compile(r"\d{1,6}"),
    "order": re.compile("asc|desc"),
    "stream": _SWITCH,
    "version": _VERSION,
}
"""Parameters of URLs, each with what its value may be."""

FIELDS = frozenset(
    """
    b64_json embedding encrypted_content encrypted_index signature thought_signature thoughtSignature
    anyOf arguments args audio background bytes cache_control call_type candidates
    candidate_count candidates_token_count candidatesTokenCount choices citations code
    completion_tokens completion_tokens_details content content_block content_index contentBlock
    contents created created_at custom data delta description detail dimensions
    disable_parallel_tool_use display document done echo effort embeddings encoding_format
    end_index environment error errors file file_data filename finishReason finish_reason format
    frequency_penalty function function_call functionCall functionDeclarations functionResponse
    functions generationConfig generation_config grammar height image_url incomplete_details index
    inlineData inline_data input input_audio input_schema input_tokens input_tokens_details
    instructions is_error item json_schema last_error limit logit_bias logprob logprobs
    maxOutputTokens max_completion_tokens max_output_tokens max_prompt_tokens max_tokens media_type
    message messages mime_type mimeType modalities model modelVersion model_version n name object
    output output_index output_text output_tokens output_tokens_details parallel_tool_calls
    parameters param part partial_json parts prediction presence_penalty prompt promptTokenCount
    prompt_tokens prompt_tokens_details queries quality query reason reasoning reasoning_content
    reasoning_effort reasoning_tokens refusal required response response_format responseMimeType
    responseSchema response_schema result results role safetyRatings schema seed sequence_number
    server_label require_approval approve action actions button service_tier size source start_index
    status stop stop_reason stop_sequence stop_sequences stopSequences store stream stream_options
    include_usage strict suffix summary summary_index system systemInstruction system_fingerprint
    system_instruction temperature text thinking thinkingConfig thinking_config budget_tokens
    thoughtsTokenCount tokens tool toolConfig tool_calls tool_choice tool_config tools top_k topK
    top_logprobs top_p topP total_tokens totalTokenCount transcript truncation type url usage
    usageMetadata usage_metadata verbosity voice width x y cached_tokens audio_tokens
    accepted_prediction_tokens rejected_prediction_tokens cache_creation_input_tokens
    cache_read_input_tokens cache_creation ephemeral_5m_input_tokens ephemeral_1h_input_tokens
    prompt_cache_hit_tokens prompt_cache_miss_tokens prompt_eval_count eval_count total_duration
    load_duration server_tool_use web_search_requests retryDelay details @type quotaMetric
    quotaValue violations annotations url_citation title allowed_tools mode
    pending_safety_checks acknowledged_safety_checks flagged categories category_scores
    category probability blocked severity cited_text document_index document_title
    start_char_index end_char_index start_page_number end_page_number start_block_index
    end_block_index page_age score logs outputs extra_content google reasoning_details
    """.split()
)
SCHEMA_FIELDS = frozenset(
    {"parameters", "input_schema", "schema", "responseSchema", "response_schema", "args"}
)
"""Below these all names are the tool's own: a JSON schema, or a call's arguments."""
ID_FIELDS = frozenset(
    {"id", "call_id", "tool_call_id", "tool_use_id", "item_id", "previous_response_id",
     "approval_request_id", "file_id", "container_id"}
)  # fmt: skip
KNOWN_ID = re.compile(
    r"(?:chatcmpl|cmpl|call|resp|msg|rs|fc|fco|ws|ig|cu|ci|mcp|mcpl|mcpr|toolu|srvtoolu|run|gen|req|"
    r"id|lc|step|item|tool)[-_][\w.:-]{1,80}|\d{1,6}"
)
"""Ids that providers make for calls and answers; any other is replaced by one that stands for it."""
MEDIA_FIELDS = frozenset({"data", "file_data", "b64_json", "result", "embedding"})
SEALED_WORDS = {"thoughtSignature": "KGhpZGRlbik="}
"""Where the client wants base64, this is the word's."""
SEALED_FIELDS = frozenset(
    {"signature", "thought_signature", "thoughtSignature", "encrypted_content", "encrypted_index"}
)
"""What only the provider can read: a client sends it back as it came, so any word will do."""
TALLY_FIELDS = frozenset({"categories", "category_scores"})
"""Names that the provider chose, each with a number or a yes or no."""
