"""Hosts: the only place with clocks, locks, threads and loops."""

from agentrm_plugins.hosts.clock import Clock, MonotonicClock, VirtualClock
from agentrm_plugins.hosts.host import Host
from agentrm_plugins.hosts.lease import Lease
from agentrm_plugins.hosts.stream import EventStream

__all__ = [
    "Clock",
    "EventStream",
    "Host",
    "Lease",
    "MonotonicClock",
    "VirtualClock",
]
