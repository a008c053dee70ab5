"""Many processes, one limit: what exchanges with the server, in a thread of its own."""

from agentrm_plugins.fleet.exchanger import Exchanger

__all__ = ["Exchanger"]
