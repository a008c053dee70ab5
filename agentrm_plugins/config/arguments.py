"""The configuration from single fields by name: of `AgentRM(...)` and of `rm.update(...)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from agentrm_plugins.config.scheduling import Config, SchedulerConfig
from agentrm_plugins.errors import ConfigError

__all__ = ["configured", "updated"]

_TOP = {field.name for field in fields(Config)}
_SCHEDULER = {field.name for field in fields(SchedulerConfig)}
_LEFT_OUT = {"endpoint_wait_timeout_s": ...}  # None means something there


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that were given, without those that were left out."""
    known = _TOP | _SCHEDULER
    return {
        name: value
        for name, value in given.items()
        if name in known and value is not _LEFT_OUT.get(name)
    }


def _alone(config: object, settings: Mapping[str, Any], door: str) -> Config:
    if not isinstance(config, Config):
        way = "give a Config(...), or single fields by name"
        if hasattr(config, "__index__") and not isinstance(config, bool):
            way = f"lanes are given by name: {door}(lanes={config})"
        elif (isinstance(config, str) or hasattr(config, "__fspath__")) and door == "AgentRM":
            way += "; a file is read by AgentRM.from_config(path)"
        elif isinstance(config, Mapping):
            way += f": {door}(**config)"
        raise ConfigError("config", config, way)
    if settings:
        name = next(iter(settings))
        raise ConfigError(name, settings[name], "give either a Config or single fields")
    return config


def configured(config: Config | None, given: Mapping[str, Any]) -> Config:
    """The configuration from the arguments of `AgentRM`.

    Raises:
        ConfigError: A field has a value that it cannot have.
    """
    settings = _settings(given)
    if config is not None:
        return _alone(config, settings, "AgentRM")
    inner = {name: settings.pop(name) for name in _SCHEDULER if name in settings}
    if inner:
        settings["scheduler"] = replace(settings.get("scheduler", SchedulerConfig()), **inner)
    return Config(**settings)


def updated(old: Config, config: Config | None, given: Mapping[str, Any]) -> Config:
    """The configuration with some fields changed.

    Raises:
        ConfigError: A field has a value that it cannot have.
    """
    settings = _settings(given)
    if config is not None:
        return _alone(config, settings, "update")
    one = [(group.name, group.capacity) for group in old.groups] == [("model", old.lanes)]
    if one and "lanes" in settings and "groups" not in settings:
        settings["groups"] = (replace(old.groups[0], capacity=_lanes(settings["lanes"])),)
    return replace(old, **settings)


def _lanes(lanes: Any) -> Any:
    """The capacity of the one group; what is no number of lanes is refused by that name."""
    Config(lanes=lanes)
    return lanes
