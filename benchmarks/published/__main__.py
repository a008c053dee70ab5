"""`python -m benchmarks.published NAME`: one of the published experiments, done again."""

from __future__ import annotations

import argparse

from benchmarks.published import EXPERIMENTS, run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published")
    parser.add_argument("name", choices=[*EXPERIMENTS, "all"])
    parser.add_argument("--seeds", type=int, default=None, help="How many seeds, where it has any.")
    given = parser.parse_args()
    for name in EXPERIMENTS if given.name == "all" else [given.name]:
        run(name, given.seeds)


if __name__ == "__main__":
    main()
