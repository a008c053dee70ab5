"""What code gives, as the highest layer: objects, not text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from agentrm_plugins.config import Config, Coordination
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.settings.layers import Layer
from agentrm_plugins.settings.schema import SECTIONS, TABLES, placed
from agentrm_plugins.types.checks import check_instance

__all__ = ["code_layer", "config_layer"]

_CODE = "code"


def code_layer(given: Mapping[str, Any]) -> Layer:
    """The layer of keyword arguments; None says nothing, as for `AgentRM` itself.

    Raises:
        ConfigError: A section that is none.
    """
    layer = Layer(_CODE)
    for name, value in given.items():
        says_none = name == "endpoint_wait_timeout_s"
        if value is None and not says_none:
            continue
        if name == "coordination":
            _coordination(layer, value)
        elif name == "record":
            layer.whole.add(("record",))
            layer.put(("record", "path"), value, _CODE)
        elif name in SECTIONS:
            _section(layer, name, check_instance(name, value, SECTIONS[name]))
        else:
            path = placed(name)
            if name in TABLES:
                layer.whole.add(path)
            layer.put(path, value, _CODE)
    return layer


def _section(layer: Layer, name: str, value: Any) -> None:
    for field in fields(value):
        path = (name, field.name)
        if path not in layer.values:  # AgentRM(order=..., scheduler=...): the single field counts
            layer.put(path, getattr(value, field.name), _CODE)


def _coordination(layer: Layer, value: Any) -> None:
    if isinstance(value, Coordination):
        layer.whole.add(("coordination",))
        _section(layer, "coordination", value)
    else:
        layer.put(("coordination", "server"), value, _CODE)


def config_layer(config: Config) -> Layer:
    """The layer of a core that was made by code alone: all that is not a default.

    Raises:
        ConfigError: Never; it was checked when it was made.
    """
    if not isinstance(config, Config):
        raise ConfigError.of_kind("config", config, "give a Config(...)")
    usual = Config(lanes=config.lanes)
    changed = {
        field.name: getattr(config, field.name)
        for field in fields(Config)
        if getattr(config, field.name) != getattr(usual, field.name)
    }
    if config.lanes != Config().lanes:
        changed["lanes"] = config.lanes
    layer = Layer(_CODE)
    for name, value in changed.items():
        if name in SECTIONS:
            for field in fields(value):
                one = getattr(value, field.name)
                if one != getattr(getattr(usual, name), field.name):
                    layer.put((name, field.name), one, _CODE)
        else:
            layer.put((name,), value, _CODE)
    return layer
