"""The `agentrm` command: one module per command in `commands/`, found by their names.

`agentrm --help` and `--version` need no extra; everything else needs the extra `cli`.
"""

from agentrm_plugins.cli.main import main

__all__ = ["main"]
