"""The main job: real LangChain agents against the simulated provider, unmanaged and then managed.

Unlike the rest of `agentrm_plugins` this needs LangChain: the extra `quickstart`.
"""

from agentrm_plugins.demo.run import run_demo
from agentrm_plugins.demo.settings import DemoSettings

__all__ = ["DemoSettings", "run_demo"]
