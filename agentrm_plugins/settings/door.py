"""What `AgentRM` has of the settings: `from_config`, and what it was made of."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any, Self, Unpack

from agentrm_plugins.config import Config
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.arguments import no_such_argument

if TYPE_CHECKING:
    from agentrm_plugins.hosts.core import Core
    from agentrm_plugins.settings.core_arguments import CoreArguments
    from agentrm_plugins.settings.loading import Settings

__all__ = ["FromSettings"]

_APART = {"clock", "coordination", "record", "monitor", "namespace"}


class FromSettings:
    """The part of `AgentRM` that knows where its configuration comes from."""

    config: Config
    _core: Core
    _settings: Settings | None = None

    @classmethod
    def from_config(
        cls, path: str | os.PathLike[str] | None = None, **code: Unpack[CoreArguments]
    ) -> Self:
        """A core configured in layers: defaults < TOML file < environment < code.

        `AgentRM(...)` reads no file; this does. `agentrm config` prints what it would find, and
        where each value comes from.

        Args:
            path: The TOML file. None: the one that ``AGENTRM_CONFIG`` names, or ``agentrm.toml`` or
                the table ``[tool.agentrm]`` of ``pyproject.toml``, in the current folder or its
                project. No file at all is fine; one that is named has to be there.
            code: What is said here counts most. The names are those of `AgentRM`;.

        Raises:
            ConfigError: A setting that does not exist, with the one that was probably meant, or a
                value that cannot be, with the file and line or the variable that says it.
        """
        from agentrm_plugins.settings.loading import load

        known = {*inspect.signature(cls).parameters} - {"config"}
        for name, value in code.items():
            if name == "config":
                way = "its fields are layers here: give them one by one, or use AgentRM(config)"
                raise ConfigError.of_kind(name, value, way)
            if name not in known:
                raise no_such_argument(name, value, known)
        clock = code.pop("clock", None)
        found = load(path, code=code)
        made = cls(found.config, clock=clock, **_beside(found))  # type: ignore[call-arg]
        made._settings = found
        if found.says_retry:
            from agentrm_plugins.hosts.retry import within

            retry = found.retry
            made._core.retry = within(retry.attempts, retry.total_s, retry.max_wait_s)
        return made

    @property
    def settings(self) -> Settings:
        """The configuration that this core was made of, and where each value came from."""
        from agentrm_plugins.settings.loading import settings_of

        return self._settings or settings_of(self.config)


def _beside(found: Settings) -> dict[str, Any]:
    """The arguments of `AgentRM` that are no part of `Config`."""
    record: Any = None
    if found.record:
        from agentrm_plugins.telemetry.recording import Recording

        given = found.record["path"]
        record = given if isinstance(given, Recording) else Recording(**found.record)
    alone = found.coordination is None
    return {
        "coordination": "" if alone else found.coordination,
        "record": record,
        "monitor": found.monitor,
    }
