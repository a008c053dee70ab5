"""A second generator, independent of the first: other domains, forms and corrections.

Written after the first was tuned on. Misses on seeds other than those of the figures were looked
into since, and mended where their cause was a general one. Incident tickets, travel, code review
and research notes; German and Chinese; base64 and UUIDs; several facts in one sentence; corrections
in words of their own.
"""

from __future__ import annotations

import base64
import json
import random
from uuid import UUID

from benchmarks.context.generate import Fact, Session

THINGS = {
    "incident": ["checkout-eu", "ledger-sync", "mail-relay", "edge-cache", "login-proxy"],
    "travel": ["Kyoto", "Tromsø", "Valparaíso", "Windhoek", "Ljubljana"],
    "review": ["retry loop", "CSV exporter", "session cache", "date parser", "upload worker"],
    "research": ["lichen survey", "tide model", "sleep study", "soil assay", "lens trial"],
    "deutsch": ["Fernwärme", "Druckerei", "Kita-Anbau", "Stadtarchiv", "Brückenlager"],
    "zh": ["成都实验室", "青岛码头", "杭州机房", "西安展厅", "昆明温室"],
}
TOLD = {
    "incident": [
        ("INC for {t} is {a}, and the paging lead tonight is {b}.", "ident", "person",
         ["Which INC was filed for {t}?", "Who is the paging lead for {t}?"],
         ["Small fix to my note on {t}: the INC is {n}; I had a wrong one.",
          "For {t} the paging lead handed over, {n} has the pager."]),
        ("Trace of the {t} outage: {a}; first alert at {b}.", "uuid", "clock",
         ["What is the trace of the {t} outage?", "When was the first alert of the {t} outage?"],
         ["I pasted a wrong trace for the {t} outage. Right one: {n}.",
          "The first alert of the {t} outage came at {n}, the dashboard was off."]),
    ],
    "travel": [
        ("Hotel in {t}: confirmation {a}, we check in on {b}.", "ident", "day",
         ["What is the hotel confirmation in {t}?", "What day do we check in at {t}?"],
         ["The hotel in {t} rebooked us, confirmation became {n}.",
          "We land in {t} later than planned and check in on {n}."]),
        ("The {t} train seat is {a}; the pass costs {b}.", "seat", "money",
         ["Which seat on the {t} train?", "How much does the {t} pass cost?"],
         ["They moved us: our seat on the {t} train is {n}.",
          "The {t} pass got dearer, it costs {n}."]),
    ],
    "review": [
        ("In the {t}, commit {a} has the bug and {b} reviews it.", "hash", "person",
         ["Which commit has the bug in the {t}?", "Who reviews the {t}?"],
         ["Bisected again: in the {t} the bug came with commit {n}.",
          "{n} stepped in as the one who reviews the {t}."]),
        ("The fixture of the {t} is {a}, timeout {b}.", "base64", "ms",
         ["What is the fixture of the {t}?", "What is the timeout of the {t}?"],
         ["Regenerated the fixture of the {t}: {n}.",
          "With timeout the way it was, the {t} flaked; set to {n}."]),
    ],
    "research": [
        ("For the {t}, sample {a} weighed {b} after drying.", "ident", "grams",
         ["Which sample was weighed for the {t}?", "How much did the sample of the {t} weigh?"],
         ["Labels were mixed up: the sample of the {t} is {n}.",
          "Weighed it anew: the sample of the {t} comes to {n}."]),
    ],
    "deutsch": [
        ("Bei {t} gilt Auftrag {a}, zuständig ist {b}.", "ident", "person",
         ["Welcher Auftrag gilt bei {t}?", "Wer ist bei {t} zuständig?"],
         ["Ich habe mich bei {t} vertan, der Auftrag lautet {n}.",
          "Bei {t} hat {n} die Zuständigkeit übernommen."]),
    ],
    "zh": [
        ("{t}的门禁代码是{a}，负责人是{b}。", "ident", "person",
         ["{t}的门禁代码是什么？", "{t}的负责人是谁？"],
         ["{t}的门禁代码换了，请用{n}。", "{t}换了负责人：{n}。"]),
    ],
}  # fmt: skip
CHAT = [
    "Right, next.",
    "Let me see that again in a shorter form.",
    "接着看下一个。",
    "Gut, weiter.",
    "Fine. Any surprises?",
    "Show me whatever comes after it.",
    "I will be back in ten minutes.",
]
CODE = (
    "def fold(left, right):\n    return [a for pair in zip(left, right) for a in pair]",
    "for (const row of rows) { out.push(row.map(String).join(';')); }",
    "SELECT region, sum(amount) FROM sales GROUP BY region HAVING count(*) > 3;",
)
_PEOPLE = (
    "Wanjiru Mbeki",
    "Søren Dahl",
    "Ines Carvalho",
    "Bohdan Kovalenko",
    "Mei Fong",
    "Jorge Ruiz",
)


def made(kind: str, rng: random.Random) -> str:
    """Make up a value."""
    number = rng.randrange(100, 99_999)
    return {
        "ident": lambda: f"{rng.choice('QWRT')}{rng.choice('AEIOU')}{number}-{rng.randrange(10, 99)}",  # noqa: E501
        "uuid": lambda: str(UUID(int=rng.getrandbits(128))),
        "base64": lambda: base64.b64encode(rng.randbytes(18)).decode(),
        "hash": lambda: f"{rng.getrandbits(40):010x}",
        "person": lambda: f"{rng.choice(_PEOPLE)} {rng.choice('BCDFGHKLM')}.",
        "clock": lambda: f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}",
        "day": lambda: f"{rng.randint(1, 28)}.{rng.randint(1, 12)}.{rng.randint(2027, 2031)}",
        "seat": lambda: f"{rng.randint(2, 99)}{rng.choice('ABCDEF')}",
        "money": lambda: f"{number} CHF",
        "ms": lambda: f"{number} ms",
        "grams": lambda: f"{number / 100:.2f} g",
    }[kind]()  # fmt: skip


def output(rng: random.Random) -> str:
    """Make up a tool's output: code, a stack trace, a table, base64 or prose."""
    rows = rng.choice([2, 6, 14, 30])
    kind = rng.randrange(5)
    if kind == 0:
        return "\n\n".join(rng.choice(CODE) for _ in range(rows // 2))
    if kind == 1:
        return "\n".join(
            f'  File "/app/mod_{rng.randrange(40)}.py", line {rng.randrange(900)}, in step'
            for _ in range(rows)
        )
    if kind == 2:
        return json.dumps([{"k": rng.randrange(10**9), "ok": rng.random() < 0.5}] * rows)
    if kind == 3:
        return base64.b64encode(rng.randbytes(rows * 24)).decode()
    words = "slow harbour reading under glass keeps minor drift within the stated band".split()
    return " ".join(rng.choice(words) for _ in range(rows * 12))


def fresh_session(seed: int, size: int) -> Session:
    """Make a session of about `size` messages."""
    rng = random.Random(f"fresh/{seed}/{size}")
    messages: list[dict] = [{"role": "system", "content": "You help with whatever comes up."}]
    facts: list[Fact] = []
    how: list[tuple[str, str]] = []
    asks: dict[int, int] = {}
    topics = [(k, t, s) for k in TOLD for t in THINGS[k] for s in range(len(TOLD[k]))]
    rng.shuffle(topics)
    while len(messages) < size:
        said = [rng.choice(CHAT)]
        if topics and rng.random() < 0.25:
            kind, thing, form = topics.pop()
            template, *kinds, questions, fixes = TOLD[kind][form]
            values = [made(k, rng) for k in kinds]
            said.insert(rng.randrange(2), template.format(t=thing, a=values[0], b=values[1]))
            for value, question, fix, k in zip(values, questions, fixes, kinds, strict=True):
                facts.append(Fact(value, question.format(t=thing), len(messages)))
                how.append((fix.replace("{t}", thing), k))
        elif facts and rng.random() < 0.12:
            at = rng.randrange(len(facts))
            fact, (fix, k) = facts[at], how[at]
            if not fact.old:
                fact.old.append(fact.value)
                fact.value, fact.told_at = made(k, rng), len(messages)
                said.insert(0, fix.format(n=fact.value))
        messages.append({"role": "user", "content": " ".join(said)})
        for _ in range(rng.choice([0, 1, 1, 2, 5])):
            call = f"tc_{rng.getrandbits(48):x}"
            function = {"name": "run", "arguments": json.dumps({"step": rng.randrange(99)})}
            wanted = {"id": call, "type": "function", "function": function}
            messages.append({"role": "assistant", "content": "", "tool_calls": [wanted]})
            messages.append({"role": "tool", "tool_call_id": call, "content": output(rng)})
        messages.append({"role": "assistant", "content": rng.choice(["Done.", "Seen.", "Noted."])})
        if facts and rng.random() < 0.08:
            _ask(rng.randrange(len(facts)), messages, facts, asks)
    for at in rng.sample(range(len(facts)), min(25, len(facts))):
        _ask(at, messages, facts, asks)
    return Session(f"fresh-{seed}-{size}", messages, facts, asks)


def _ask(at: int, messages: list[dict], facts: list[Fact], asks: dict[int, int]) -> None:
    asks[len(messages)] = at
    messages.append({"role": "user", "content": facts[at].question})
    messages.append({"role": "assistant", "content": "Looking."})
