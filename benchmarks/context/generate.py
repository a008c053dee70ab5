"""Seeded agent sessions with planted facts. The same seed and settings give the same session."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from uuid import UUID

from benchmarks.context.phrases import ANSWERS, DEVELOP, HELD_OUT, QUALIFIERS, SMALL_TALK, WORDS

FIRST = "Priya Omar Ingrid Tomas Yuki Amara Lukas Fatima Diego Hanna Noor Pavel".split()
LAST = "Nair Haddad Solberg Novak Tanaka Okafor Weber Rahimi Alvarez Lindqvist Khan Petrov".split()


@dataclass
class Fact:
    """A planted fact: its value now, those before, where it was told, how it is asked for."""

    value: str
    question: str
    told_at: int
    old: list[str] = field(default_factory=list)


@dataclass
class Session:
    """A conversation, its facts, and which user message asks for which fact."""

    name: str
    messages: list[dict]
    facts: list[Fact]
    asks: dict[int, int]


def value_of(kind: str, rng: random.Random) -> str:
    """Make up a value."""
    number = rng.randrange(1000, 99999)
    if kind == "port":
        return str(number)
    if kind == "ident":
        letters = "".join(rng.choice("ABCDEFGHKLMNPRSTUVWXYZ") for _ in range(rng.randint(2, 4)))
        return rng.choice([f"{letters}-{number}", f"{letters}{number}", f"{number}/{letters}"])
    if kind == "money":
        return rng.choice([f"{number:,} EUR", f"${number:,}", f"€{number}", f"{number} dollars"])
    if kind == "date":
        year, month, day = rng.randint(2026, 2029), rng.randint(1, 12), rng.randint(1, 28)
        names = "January February March April May June July August September October November"
        name = [*names.split(), "December"][month - 1]
        return rng.choice([f"{year}-{month:02}-{day:02}", f"{day} {name} {year}"])
    if kind == "name":
        return f"{rng.choice(FIRST)} {rng.choice(LAST)}{rng.choice(['', '', '-Berg', ' Jr'])}"
    if kind == "path":
        return f"/srv/{rng.choice(WORDS)}/{rng.choice(WORDS)}-{number}.parquet"
    if kind == "branch":
        return f"{rng.choice(['feat', 'fix', 'exp'])}_{rng.choice(WORDS)}_{number}"
    if kind == "version":
        return f"{rng.randint(1, 9)}.{rng.randint(0, 40)}.{rng.randint(1, 99)}"
    return str(UUID(int=rng.getrandbits(128)))


def filler(rng: random.Random, size: int) -> str:
    """Make up a tool's output of about `size` tokens, in one of five forms."""
    kind = rng.randrange(5)
    lines = []
    if kind == 0:
        for _ in range(size // 22):
            lines.append(  # noqa: PERF401 - one form for all kinds
                f"2026-0{rng.randint(1, 9)}-1{rng.randint(0, 9)}T0{rng.randint(0, 9)}:12:4"
                f"{rng.randint(0, 9)}Z INFO {rng.choice(WORDS)} handled {rng.randrange(9999)} in "
                f"{rng.randrange(900)}ms"
            )
    elif kind == 1:
        rows = [
            {"id": rng.randrange(10**6), "tag": rng.choice(WORDS), "score": rng.randrange(100)}
            for _ in range(size // 20)
        ]
        return json.dumps({"rows": rows, "total": len(rows)})
    elif kind == 2:
        for at in range(size // 12):
            name = f"{rng.choice(WORDS)}_{rng.choice(WORDS)}"
            lines.append(f"    {name}_{at} = compute_{rng.choice(WORDS)}({rng.randrange(99)})")
    elif kind == 3:
        for _ in range(size // 14):
            lines.append(  # noqa: PERF401 - one form for all kinds
                " ".join(rng.choice(WORDS) for _ in range(11)).capitalize() + "."
            )
    else:
        for _ in range(size // 16):
            lines.append(  # noqa: PERF401 - one form for all kinds
                f"| {rng.choice(WORDS)} | {rng.randrange(999)} | {rng.choice(WORDS)} |"
            )
    return "\n".join(lines)


def session(seed: int, size: int, *, held_out: bool = False, long_loops: bool = False) -> Session:
    """Make a session of about `size` messages."""
    rng = random.Random(f"{seed}/{size}/{held_out}/{long_loops}")
    maker = _Maker(rng, HELD_OUT if held_out else DEVELOP, long_loops)
    maker.start()
    while len(maker.messages) < size:
        maker.turn(size)
    maker.asking(everything=True)
    name = f"{'held' if held_out else 'dev'}-{seed}-{size}{'-loops' if long_loops else ''}"
    return Session(name, maker.messages, maker.facts, maker.asks)


class _Maker:
    def __init__(self, rng: random.Random, phrases: list, long_loops: bool) -> None:
        self.rng = rng
        self.phrases = phrases
        self.long_loops = long_loops
        self.messages: list[dict] = []
        self.facts: list[Fact] = []
        self.how: list[tuple] = []
        self.asks: dict[int, int] = {}
        self.used: set[tuple] = set()
        self.calls = 0

    def start(self) -> None:
        text = "You are a careful assistant with tools. Answer briefly and keep exact values. " * 3
        self.messages.append({"role": "system", "content": text.strip()})

    def turn(self, size: int) -> None:
        rng = self.rng
        left = size - len(self.messages)
        if len(self.facts) > 3 and rng.random() < 0.12 and left > 4:
            self.asking()
        texts = []
        if rng.random() < 0.35:
            texts.append(self.plant())
        if self.facts and rng.random() < 0.1:
            texts.append(self.correct())
        texts = [text for text in texts if text] or [rng.choice(SMALL_TALK)]
        if rng.random() < 0.4:
            texts.append(rng.choice(SMALL_TALK))
        self.messages.append({"role": "user", "content": " ".join(texts)})
        for _ in range(rng.choice([0, 0, 1, 2, 3]) if not self.long_loops else rng.choice([2, 40])):
            self.tool_step()
        said = rng.choice(ANSWERS)
        if rng.random() < 0.12:
            said += " " + (self.plant() or "")
        self.messages.append({"role": "assistant", "content": said.strip()})

    def plant(self) -> str | None:
        rng = self.rng
        for _ in range(20):
            at = rng.randrange(len(self.phrases))
            mark = rng.choice(QUALIFIERS)
            if (at, mark) not in self.used:
                break
        else:
            return None
        self.used.add((at, mark))
        _, telling, correction, question, kind = self.phrases[at]
        value = value_of(kind, rng)
        self.facts.append(Fact(value, _marked(question, mark), len(self.messages)))
        self.how.append((correction, mark, kind))
        return _marked(telling, mark).format(v=value)

    def correct(self) -> str | None:
        rng = self.rng
        at = rng.randrange(len(self.facts))
        fact, (correction, mark, kind) = self.facts[at], self.how[at]
        if len(fact.old) >= 2 or fact.told_at == len(self.messages):
            return None
        old, fact.value = fact.value, value_of(kind, rng)
        fact.old.append(old)
        fact.told_at = len(self.messages)
        return _marked(correction, mark).format(v=fact.value, o=old)

    def tool_step(self) -> None:
        rng = self.rng
        width = rng.choice([1, 1, 1, 1, 2, 3])
        calls, results = [], []
        for _ in range(width):
            self.calls += 1
            name = f"call_{self.calls}_{rng.randrange(10**6)}"
            arguments = json.dumps({"topic": rng.choice(WORDS), "page": rng.randrange(40)})
            calls.append(
                {"id": name, "type": "function",
                 "function": {"name": rng.choice(["search", "read_file", "query"]),
                              "arguments": arguments}}
            )  # fmt: skip
            output = filler(rng, rng.choice([30, 80, 200, 300, 700]))
            if rng.random() < 0.03:
                planted = self.plant()
                if planted:
                    lines = output.split("\n")
                    lines.insert(rng.randrange(len(lines) + 1), planted)
                    output = "\n".join(lines)
            results.append({"role": "tool", "tool_call_id": name, "content": output})
        self.messages.append({"role": "assistant", "content": "", "tool_calls": calls})
        self.messages.extend(results)

    def asking(self, *, everything: bool = False) -> None:
        """Ask for a fact told a while ago, or at the end for all of them."""
        rng = self.rng
        places = [rng.randrange(len(self.facts))] if self.facts else []
        if everything:
            places = rng.sample(range(len(self.facts)), min(25, len(self.facts)))
        for at in places:
            self.asks[len(self.messages)] = at
            self.messages.append({"role": "user", "content": self.facts[at].question})
            self.messages.append({"role": "assistant", "content": "Let me look at my notes."})


_SPOTS = (
    "staging gateway", "Hamburg office", "marketing budget", "tax audit", "billing service",
    "nightly backups", "refactoring", "Bäckerei Lindner", "dépôt de Lyon", "深圳仓库",
    "parser library", "Oslo shipment", "gym", "passport reference", "roof", "sister's wedding",
    "cardiologist", "census data", "checkout experiment", "Mietvertrag", "vuelo a Bogotá",
    "大阪支店", "greenhouse sensors", "failed payment",
)  # fmt: skip


def _marked(text: str, mark: str) -> str:
    if not mark:
        return text
    for spot in _SPOTS:
        if spot in text:
            return text.replace(spot, mark + spot, 1)
    return text
