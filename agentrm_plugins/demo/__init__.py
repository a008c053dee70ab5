"""The main job: real LangChain agents against the simulated provider, unmanaged and then managed.

Unlike the rest of `agentrm_plugins` this needs LangChain: the extra `quickstart`.
"""

try:
    import h11  # noqa: F401 - only whether they are there
    import langchain  # noqa: F401
    import langchain_openai  # noqa: F401
    import rich  # noqa: F401
except ModuleNotFoundError as error:
    msg = f"the demo needs {error.name}: pip install 'agentrm-plugins[quickstart]'"
    raise ModuleNotFoundError(msg, name=error.name) from None

from agentrm_plugins.demo.run import run_demo
from agentrm_plugins.demo.settings import DemoSettings

__all__ = ["DemoSettings", "run_demo"]
