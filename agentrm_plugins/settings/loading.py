"""All layers on top of each other: `load`, and what it gives."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from agentrm_plugins.config import Config, ContextConfig, Coordination, RetryConfig
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.settings.building import Merged, config_of, object_of, section_of
from agentrm_plugins.settings.code import code_layer, config_layer
from agentrm_plugins.settings.environment import environment_layer
from agentrm_plugins.settings.files import file_layer
from agentrm_plugins.settings.layers import refused

if TYPE_CHECKING:
    from agentrm_plugins.settings.schema import Path

__all__ = ["Settings", "load", "settings_of"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration, and where each value comes from.

    Attributes:
        config: The core's own.
        context: For `ContextLifecycle(rm.settings.context)`; of its defaults where nothing is said.
        retry: How often failed calls go again; the core's default policy goes by it.
        coordination: With whom limits are shared; None: with nobody.
        record: The fields of a `Recording`; empty: nothing is recorded.
        monitor: Whether a socket is opened for `agentrm top`.
        origins: Who says each value, by path: "agentrm.toml:3", "AGENTRM_LANES", "code". What is
            not named is a default.
    """

    config: Config = field(default_factory=Config)
    context: ContextConfig = field(default_factory=ContextConfig)
    retry: RetryConfig = field(default_factory=RetryConfig)
    coordination: Coordination | None = None
    record: Mapping[str, Any] = field(default_factory=dict)
    monitor: bool = False
    origins: Mapping[Path, str] = field(default_factory=dict)

    @property
    def says_retry(self) -> bool:
        """Whether anything is said of retries."""
        return any(path[0] == "retry" for path in self.origins)


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    folder: FilePath | None = None,
    code: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings of all layers: defaults < file < environment < code.

    Args:
        path: The TOML file; None: that of ``AGENTRM_CONFIG``, or ``agentrm.toml`` or the table
            ``[tool.agentrm]`` of ``pyproject.toml`` of the folder or its project.
        environ: The environment; None: the process's own.
        folder: Where to look for a file; None: the current one.
        code: What code gives, by the names of `AgentRM`'s arguments.

    Raises:
        ConfigError: A setting that does not exist or cannot be; it says where it stands.
    """
    given = os.environ if environ is None else environ
    file = file_layer(path, given, FilePath.cwd() if folder is None else folder)
    layers = [*(() if file is None else (file,)), environment_layer(given), code_layer(code or {})]
    return _built(Merged(layers))


def settings_of(config: Config) -> Settings:
    """The settings of a core that no file and no variable has a part in."""
    merged = Merged([config_layer(config)])
    return Settings(config=config, origins=merged.origins)


def _built(merged: Merged) -> Settings:
    monitor = merged.values.get(("monitor",), False)
    if not isinstance(monitor, bool):
        raise refused(("monitor",), monitor, "give True or False", merged.origin(("monitor",)))
    record = {path[0]: value for path, value in merged.below("record").items()}
    if record.get("path") in (None, ""):
        lonely = next((name for name in record if name != "path"), None)
        if lonely is not None and "path" not in record:
            way = "give record.path too: the file to write"
            here = ("record", lonely)
            raise refused(here, record[lonely], way, merged.origin(here))
        record = {}
    _check_record(merged, record)
    return Settings(
        config_of(merged),
        section_of(merged, "context"),
        section_of(merged, "retry"),
        _coordination(merged),
        record,
        monitor,
        {path: merged.origins[path] for path in merged.values},
    )


def _check_record(merged: Merged, record: Mapping[str, Any]) -> None:
    """Refuse what a recorder would refuse, before there is one."""
    if record and isinstance(record["path"], str):
        from agentrm_plugins.telemetry.recording import Recording

        object_of(merged, Recording, ("record",), record)


def _coordination(merged: Merged) -> Coordination | None:
    """None without a server, which a variable that is empty takes away again."""
    server = merged.values.get(("coordination", "server"))
    if server is None or server == "":
        said = [path for path in merged.values if path[0] == "coordination" and len(path) > 1]
        lonely = [path for path in said if path[1] not in {"server", "namespace"}]
        if lonely and server is None:
            way = "give coordination.server too: the URL of a Redis or Valkey"
            raise refused(lonely[0], merged.values[lonely[0]], way, merged.origin(lonely[0]))
        return None
    made = section_of(merged, "coordination")
    if not isinstance(made, Coordination):  # pragma: no cover - for the type checker
        raise ConfigError.of_kind("coordination", made, "give a Coordination(...)")
    return made
