"""The configuration in layers: defaults < TOML file < environment < code, each value with origin.

`AgentRM.from_config` and `agentrm config` read it; ``AgentRM(...)`` itself reads no file. Only
`files` touches the disk: all else takes text, mappings and values.
"""

from __future__ import annotations

from agentrm_plugins.settings.loading import Settings, load

__all__ = ["Settings", "load"]
