"""A read that is cancelled leaves nothing behind for the collector."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextvars import copy_context

from agentrm_plugins.hosts.within import Within


class Big:
    pass


async def test_what_a_cancelled_read_held_is_gone_at_once():
    """The error that was thrown in does not hold the frames that it passed."""
    begun, kept = asyncio.Event(), []

    async def source():
        big = Big()
        kept.append(weakref.ref(big))
        begun.set()
        await asyncio.Event().wait()
        yield big

    gc.collect()
    gc.disable()
    try:
        task = asyncio.create_task(_read(Within(copy_context(), source)))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        del task
        await asyncio.sleep(0)
        assert kept[0]() is None
    finally:
        gc.enable()


async def _read(source):
    await anext(source)
