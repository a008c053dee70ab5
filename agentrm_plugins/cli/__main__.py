"""`python -m agentrm_plugins.cli`: the same as `agentrm`."""

from agentrm_plugins.cli.main import main

main()
