"""AgentRM for LangChain: a callback for any chain, and a managed chat model.

>>> from langchain_core.language_models import FakeListChatModel
>>> from agentrm_langchain import wrap_chat_model
>>> from agentrm_plugins import AgentRM
>>> with AgentRM(lanes=4) as rm:
...     model = wrap_chat_model(FakeListChatModel(responses=["hello"]), rm)
...     model.invoke("hi").content
'hello'
"""

from typing import TYPE_CHECKING, Any

try:
    import langchain_core  # noqa: F401 - only whether it is there
except ModuleNotFoundError as error:
    if error.name != "langchain_core":
        raise
    msg = "agentrm_langchain needs langchain-core: pip install 'agentrm-plugins[langchain]'"
    raise ModuleNotFoundError(msg, name=error.name) from None

from agentrm_langchain.callbacks import AgentRMCallbackHandler
from agentrm_langchain.chat_model import AgentRMChatModel
from agentrm_langchain.runs import ChainRun
from agentrm_langchain.wrap import wrap_chat_model

if TYPE_CHECKING:
    from agentrm_langchain.embeddings import ManagedEmbeddings
    from agentrm_langchain.managing import manage
    from agentrm_langchain.middleware import AgentRMMiddleware
    from agentrm_langchain.nodes import pre_model_hook
    from agentrm_langchain.summaries import chat_summariser, extractive_summarizer
    from agentrm_langchain.views import pressure

__all__ = [
    "AgentRMCallbackHandler",
    "AgentRMChatModel",
    "AgentRMMiddleware",
    "ChainRun",
    "ManagedEmbeddings",
    "chat_summariser",
    "extractive_summarizer",
    "manage",
    "pre_model_hook",
    "pressure",
    "wrap_chat_model",
]

# The middleware needs the package langchain, and the rest the context lifecycle: both only if used.
_LATER = {
    "AgentRMMiddleware": "middleware",
    "ManagedEmbeddings": "embeddings",
    "chat_summariser": "summaries",
    "extractive_summarizer": "summaries",
    "manage": "managing",
    "pre_model_hook": "nodes",
    "pressure": "views",
}


if not TYPE_CHECKING:  # else a name that does not exist would pass the type checker

    def __getattr__(name: str) -> Any:
        """Import what is asked for, the first time that it is.

        Raises:
            ImportError: `AgentRMMiddleware` without the package langchain.
        """
        from importlib import import_module

        module = _LATER.get(name)
        if module is None:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        try:
            found = getattr(import_module(f"{__name__}.{module}"), name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in {"langchain", "langgraph"}:
                raise
            msg = f"{name} needs the package langchain: pip install 'agentrm-plugins[agents]'"
            raise ModuleNotFoundError(msg, name=error.name) from None
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """What completion offers: what can be had here."""
        from importlib.util import find_spec

        here = find_spec("langchain") is not None
        return sorted(name for name in __all__ if here or name != "AgentRMMiddleware")
