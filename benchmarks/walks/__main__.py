"""`python -m benchmarks.walks [--list WALK]`: count the Python calls of five usual ways.

Counted are calls of Python functions of this project (the simulated provider apart), each
resumption of a generator or coroutine too, and how often the walk goes from one file to another.
What workers do while the caller's thread waits for them is counted apart. The second time of each
way is counted: the first one fills caches. Nothing is drawn, and there is no network but loopback.
"""

from __future__ import annotations

import argparse

from benchmarks.walks import ways
from benchmarks.walks.count import Walk

HEAD = ("walk", "Python calls", "functions", "files", "hand-overs", "on workers")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.walks", description=__doc__)
    parser.add_argument("--list", choices=sorted(ways.WAYS), help="name the calls of one way")
    options = parser.parse_args(arguments)
    if options.list is not None:
        walk = ways.WAYS[options.list].walk()
        print(*walk.calls, "-- on workers:", *walk.elsewhere, sep="\n")
        return 0
    print(table({way.title: way.walk() for way in ways.WAYS.values()}))
    return 0


def table(walks: dict[str, Walk]) -> str:
    """The walks as a table in Markdown."""
    rows = [HEAD, tuple("---" for _ in HEAD)]
    for title, walk in walks.items():
        counts = (len(walk.calls), walk.functions, walk.files, walk.hand_overs, len(walk.elsewhere))
        rows.append((title, *map(str, counts)))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
