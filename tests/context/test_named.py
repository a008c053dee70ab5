"""Requests that name an id: its record is shown whole, and no other's is told as its later form."""

from __future__ import annotations

import json

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle

PEOPLE = ["Arvid", "Bettina", "Chidi", "Dolores", "Emeka", "Fumiko", "Gustavo", "Halima", "Ivana",
          "Jorun"]  # fmt: skip
TREES = ["alder", "birch", "cedar", "fir", "hazel"]
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def user(text):
    return {"role": "user", "content": text}


def record(n):
    """A customer's name, the id of a booking (with and without digits), its flight."""
    who = f"{PEOPLE[n % 10]} {TREES[n // 10 % 5].title()}"
    tail = LETTERS[n % 24] + LETTERS[(5 * n + 3) % 24] + LETTERS[n * 7 // 24 % 24]
    return who, f"{'XQ' if n % 2 else 'Z4'}{tail}{LETTERS[n // 24]}", f"HAT{100 + n}"


def bookings(customers):
    """An agent's talk: each customer's booking is looked up and changed."""
    history = [{"role": "system", "content": "You are an agent."}]
    for n in range(customers):
        who, booking, flight = record(n)
        found = {
            "reservation_id": booking,
            "passengers": [{"first_name": who.split()[0], "last_name": who.split()[1],
                            "dob": f"19{50 + n % 50}-03-1{n % 10}"}],
            "flights": [{"flight_number": flight, "origin": "JFK", "date": f"2026-05-1{n % 10}"}],
            "payment_history": [{"payment_id": f"credit_card_{7000 + n}", "amount": 100 + n}],
        }  # fmt: skip
        change = {"reservation_id": booking, "total_baggages": n % 5, "price": 20 + n}
        mine = f"{who.lower().replace(' ', '_')}_{3000 + n}"
        history.append(
            user(f"Hi, I am {who}, my user id is {mine}. I need a bag, reservation {booking}.")
        )
        for at, (asked, told) in enumerate(
            (({"reservation_id": booking}, found), (change, change))
        ):
            name = ("get_reservation", "update_bags")[at]
            call = {"id": f"c{n}-{at}", "type": "function",
                    "function": {"name": name, "arguments": json.dumps(asked)}}  # fmt: skip
            history += [
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": f"c{n}-{at}", "content": json.dumps(told)},
            ]
            history += [{"role": "assistant", "content": "Shall I go on?"}, user("yes")]
    return history


REQUESTS = [
    "Book {who} again on the flight of reservation {booking}.",
    "Please cancel the flight of reservation {booking} for {who}.",
    "Same flight as {booking}, one more seat for {who}, please.",
]


@pytest.mark.parametrize("request_text", REQUESTS)
@pytest.mark.parametrize("budget", [2_000, 4_000])
def test_the_record_that_a_request_names_is_shown_whole(budget, request_text):
    """No question is asked: the value stands in the prompt all the same, within the budget."""
    history = bookings(50)
    with ContextLifecycle(ContextConfig(budget_tokens=budget), submit=lambda job: job()) as manager:
        for n in range(2, 40, 5):
            who, booking, flight = record(n)
            session = manager.session(str(n))
            session.prepare(history)
            view = session.prepare([*history, user(request_text.format(who=who, booking=booking))])
            assert view.tokens <= budget
            assert flight in str(view.messages[:-1]), (n, view.messages)


def blocks(view):
    pairs = zip(view.items, view.messages, strict=True)
    return "\n".join(str(message["content"]) for item, message in pairs if item.kind == "recall")


def test_another_ones_record_is_no_later_form_of_the_one_that_was_named():
    """Behind a record stands what was changed in it, and nothing of other bookings."""
    history = bookings(50)
    config = ContextConfig(budget_tokens=4_000)
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        for n in range(2, 40, 5):
            who, booking, _ = record(n)
            session = manager.session(str(n))
            session.prepare(history)
            asked = f"Book {who} again on the flight of reservation {booking}."
            block = blocks(session.prepare([*history, user(asked)]))
            lines = [line for line in block.splitlines() if booking in line and "[later:" in line]
            told = " ".join(line.split("[later:")[1] for line in lines)
            others = [record(m)[1] for m in range(50) if m != n]
            assert not any(other in told for other in others), block
            assert "user id is" not in told


@pytest.mark.parametrize(
    ("older", "newer", "value"),
    [
        ("The gateway host is db-7.", "The gateway host is db-9 now.", "db-9"),
        ("The order of the lamp is KX-71.", "The order of the lamp is KX-93.", "KX-93"),
    ],
)
def test_a_value_that_a_request_names_is_still_told_with_its_newer_form(older, newer, value):
    """An id that is all that was told is no record's: the newer one is its later form."""
    old = older.split()[-1].rstrip(".")
    history = [user(older), {"role": "assistant", "content": "ok"}]
    history += [user("bla " * 40), {"role": "assistant", "content": "fine " * 30}] * 5
    history += [user(newer), {"role": "assistant", "content": "ok"}]
    history += [user(f"bla {n} " * 40) for n in range(30)]
    what = " ".join(older.split()[1:-2])
    with ContextLifecycle(ContextConfig(budget_tokens=1_000), submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(history)
        text = str(session.prepare([*history, user(f"Restart the {what} {old}.")]).messages[:-1])
        assert value in text or old not in text
