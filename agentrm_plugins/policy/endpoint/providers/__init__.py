"""One small table for each provider, with its source; errors are held against all of them.

Which provider answers is often not known (a gateway passes others' words on), so the tables are
read as one; where two disagree, the later one counts. A user's own come last (`Config.providers`).
"""

from __future__ import annotations

from agentrm_plugins.policy.endpoint.providers.anthropic import ANTHROPIC
from agentrm_plugins.policy.endpoint.providers.azure import AZURE
from agentrm_plugins.policy.endpoint.providers.bedrock import BEDROCK
from agentrm_plugins.policy.endpoint.providers.common import COMMON
from agentrm_plugins.policy.endpoint.providers.gateways import (
    APIGEE,
    CLOUDFLARE,
    DATABRICKS,
    HELICONE,
    KONG,
    PORTKEY,
)
from agentrm_plugins.policy.endpoint.providers.gemini import GEMINI
from agentrm_plugins.policy.endpoint.providers.languages import LANGUAGES
from agentrm_plugins.policy.endpoint.providers.libraries import LIBRARIES
from agentrm_plugins.policy.endpoint.providers.litellm import LITELLM
from agentrm_plugins.policy.endpoint.providers.meanings import MEANINGS
from agentrm_plugins.policy.endpoint.providers.more import (
    COHERE,
    DASHSCOPE,
    GITHUB,
    HUGGING_FACE,
    MOONSHOT,
    SERVERS,
    TOGETHER,
)
from agentrm_plugins.policy.endpoint.providers.numbered import MINIMAX, ZHIPU
from agentrm_plugins.policy.endpoint.providers.openai import OPENAI
from agentrm_plugins.policy.endpoint.providers.others import (
    CEREBRAS,
    DEEPSEEK,
    GROQ,
    MISTRAL,
    OLLAMA,
    OPENROUTER,
    VLLM,
    XAI,
)

__all__ = ["PROVIDERS"]

PROVIDERS = (
    *(COMMON, LIBRARIES, OPENAI, AZURE, ANTHROPIC, BEDROCK, GEMINI, MISTRAL, GROQ, CEREBRAS),
    *(DEEPSEEK, OPENROUTER, XAI, OLLAMA, VLLM, LITELLM, PORTKEY, HELICONE, CLOUDFLARE),
    *(DATABRICKS, KONG, APIGEE, COHERE, TOGETHER, HUGGING_FACE, DASHSCOPE, MOONSHOT, GITHUB),
    *(SERVERS, MINIMAX, ZHIPU, MEANINGS, LANGUAGES),
)
