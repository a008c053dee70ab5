"""AgentRM for LangChain: a callback for any chain, and a managed chat model.

>>> from langchain_core.language_models import FakeListChatModel
>>> from agentrm_langchain import wrap_chat_model
>>> from agentrm_plugins import AgentRM
>>> with AgentRM(lanes=4) as rm:
...     model = wrap_chat_model(FakeListChatModel(responses=["hello"]), rm)
...     model.invoke("hi").content
'hello'
"""

from agentrm_langchain.callbacks import AgentRMCallbackHandler
from agentrm_langchain.chat_model import AgentRMChatModel, wrap_chat_model
from agentrm_langchain.runs import ChainRun

__all__ = ["AgentRMCallbackHandler", "AgentRMChatModel", "ChainRun", "wrap_chat_model"]
