"""Talks of other kinds than the first two generators': mostly no corrections, other languages.

Each is made from a seed. `code`: files read by tools, asked for much later. `airline`: an agent
that takes ids from results and passes them on; asked is each argument value of a later call.
`language`: prose in Chinese, Japanese or Arabic, hardly a number in it. `reworded`: facts asked
for in other words than they were told in. Later sentences share words with earlier facts and are
about other things.
"""

from __future__ import annotations

import json
import random

from benchmarks.context.outside import Question, Talk, argument_values
from benchmarks.context.prose import (
    CHAT,
    HOPS,
    LANGUAGES,
    PEOPLE,
    PLACES,
    REWORDED,
    REWORDED_MORE,
    ROLES,
    THINGS,
)

VERBS = "load parse merge flush rotate verify encode fetch retry throttle prune index".split()
NOUNS = "ledger session invoice packet cursor journal tenant quota manifest shard".split()
CITIES = "LIS OSL VIE GRU NRT YYZ CPT DOH".split()


def _step(name: str, arguments: dict, result: str, number: int) -> list[dict]:
    call = {"id": f"c{number}", "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments)}}  # fmt: skip
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": result},
    ]


def code(seed: int, files: int = 40) -> Talk:
    """An agent that reads files; asked is what stood in them."""
    rng = random.Random(f"code/{seed}")
    messages = [{"role": "system", "content": "You are a coding agent with a file tool."}]
    asked: list[Question] = []
    names = rng.sample([f"{v}_{n}" for v in VERBS for n in NOUNS], files)
    for number, name in enumerate(names):
        lines, wanted = [f'"""Module {name}."""', "import os", ""], []
        for _ in range(rng.randint(3, 7)):
            inner = f"{rng.choice(VERBS)}_{rng.choice(NOUNS)}"
            value = rng.choice([str(rng.randrange(10, 99_999)), f'"{rng.getrandbits(32):08x}"'])
            kind = rng.choice(("limit", "timeout_ms", "prefix", "window", "seed"))
            line = f"def {inner}_{number}(rows, {kind}={value}):"
            lines += [line, f"    return [{inner}(row) for row in rows if row.{kind}]", ""]
            wanted.append((f"{inner}_{number}", kind, line))
        messages.append({"role": "user", "content": f"Please look at {name}.py next."})
        messages += _step("read_file", {"path": f"src/{name}.py"}, "\n".join(lines), number)
        messages.append({"role": "assistant", "content": f"{name}.py is read; nothing to change."})
        function, kind, line = rng.choice(wanted)
        asked.append(Question(f"What is the default {kind} of {function}?", [line], line))
    return Talk(f"code-{seed}", messages, asked)


def airline(seed: int, orders: int = 14) -> Talk:
    """A booking agent: ids are returned early and passed on late."""
    rng = random.Random(f"air/{seed}")
    messages = [
        {"role": "system", "content": "You are an airline agent. " + "Follow policy. " * 60}
    ]
    known: list[tuple[str, str, str]] = []
    number = 0
    for _ in range(orders):
        user = f"{rng.choice(NOUNS)}_{rng.choice(VERBS)}_{rng.randrange(1000, 9999)}"
        booking = "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(6))
        card = f"credit_card_{rng.randrange(10**6, 10**7)}"
        result = {
            "user_id": user, "reservations": [booking], "payment_methods": {card: {"last": 4417}},
            "flights": [{"no": f"HAT{rng.randrange(100, 400)}", "from": rng.choice(CITIES),
                         "to": rng.choice(CITIES), "seats": rng.randrange(40)} for _ in range(6)],
        }  # fmt: skip
        said = f"Hello, I am {user}. I want to change my trip to {rng.choice(CITIES)}."
        messages.append({"role": "user", "content": said})
        messages += _step("get_user", {"user_id": user}, json.dumps(result), number)
        messages.append({"role": "assistant", "content": "I see the booking. Which day suits you?"})
        messages.append({"role": "user", "content": rng.choice(CHAT)})
        messages.append({"role": "assistant", "content": "Noted. Shall I go on?"})
        known.append((user, booking, card))
        number += 1
        if len(known) > 4 and rng.random() < 0.6:
            user, booking, card = known[rng.randrange(len(known) - 3)]
            said = f"Now cancel the booking of {user} and refund it to the card on file."
            messages.append({"role": "user", "content": said})
            messages += _step(
                "cancel", {"reservation_id": booking, "payment_id": card}, '{"ok": true}', number
            )
            messages.append({"role": "assistant", "content": "It is cancelled."})
            number += 1
    asked = [
        q for q in argument_values(messages) if "credit_card" in q.answer or q.answer.isupper()
    ]
    return Talk(f"airline-{seed}", messages, asked)


def language(name: str, seed: int, turns: int = 240) -> Talk:
    """Prose in one language: told once among small talk, asked for at the end."""
    rng = random.Random(f"{name}/{seed}")
    people, facts, small, answers = LANGUAGES[name]
    told = [(fact, who) for fact in facts for who in people]
    rng.shuffle(told)
    messages, asked = [], []
    for turn in range(turns):
        said = "".join(rng.choices(small, k=rng.randint(2, 6)))
        if told and turn % 4 == 0:
            (telling, question, choices), who = told.pop()
            what = rng.choice(choices)
            fact = telling.format(p=who, v=what)
            said = f"{said}{fact}"
            asked.append(Question(question.format(p=who), [fact], what))
        messages.append({"role": "user", "content": said})
        messages.append({"role": "assistant", "content": "".join(rng.choices(answers, k=4))})
    return Talk(f"{name}-{seed}", messages, asked)


def reworded(seed: int, turns: int = 240, told: str = "first") -> Talk:
    """Facts in prose, asked for in other words; "second" are other facts."""
    rng = random.Random(f"reworded/{seed}")
    facts = list(REWORDED if told == "first" else REWORDED_MORE)
    rng.shuffle(facts)
    messages, asked = [], []
    for turn in range(turns):
        said = " ".join(rng.choices(CHAT, k=rng.randint(2, 5)))
        if facts and turn % 6 == 0:
            fact, question = facts.pop()
            said = f"{said} {fact}"
            asked.append(Question(question, [fact], ""))
        messages.append({"role": "user", "content": said})
        messages.append({"role": "assistant", "content": " ".join(rng.choices(CHAT, k=4))})
    return Talk(f"reworded-{seed}", messages, asked)


def hops(seed: int, turns: int = 240) -> Talk:
    """Questions whose answer shares no word with what is asked: a second fact leads to it."""
    rng = random.Random(f"hops/{seed}")
    people = rng.sample(PEOPLE, len(PEOPLE))
    told, asked = [], []
    for at, who in enumerate(people):
        first, second, question = HOPS[at % len(HOPS)]
        said = {"who": who, "role": ROLES[at % len(ROLES)], "thing": THINGS[at % len(THINGS)],
                "place": rng.choice(PLACES)}  # fmt: skip
        facts = [first.format(**said), second.format(**said)]
        told += facts
        asked.append(Question(question.format(**said), facts, said["place"]))
    rng.shuffle(told)
    messages = []
    for turn in range(turns):
        said = " ".join(rng.choices(CHAT, k=rng.randint(2, 5)))
        if told and turn % 5 == 0:
            said = f"{said} {told.pop()}"
        messages.append({"role": "user", "content": said})
        messages.append({"role": "assistant", "content": " ".join(rng.choices(CHAT, k=4))})
    return Talk(f"hops-{seed}", messages, asked)


def framed(talk: Talk, share: float, budget: int) -> tuple[Talk, list[dict]]:
    """Give the same with a system prompt and tools of so much of the budget, half each."""
    tokens = int(share * budget / 2)
    rules = "Answer with care and keep to the policy of the house. " * (tokens // 11)
    messages = [m for m in talk.messages if m["role"] != "system"]
    tool = {"type": "function", "function": {
        "name": "lookup", "description": "Looks up one thing. " * (tokens // 5),
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
    }}  # fmt: skip
    framed_messages = [{"role": "system", "content": rules or "Answer."}, *messages]
    return Talk(f"{talk.name}-{share:.0%}", framed_messages, talk.questions), [tool]
