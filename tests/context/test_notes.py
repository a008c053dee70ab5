from __future__ import annotations

from collections import Counter

import pytest

from agentrm_plugins.context.notes.facts import Finding, find
from agentrm_plugins.context.notes.note import has_whole
from agentrm_plugins.context.notes.notes import Notes
from agentrm_plugins.context.notes.values import values_of
from agentrm_plugins.context.plan.entry import Episode
from agentrm_plugins.context.plan.warm import chosen, rendered


def told(*lines: str, role: str = "user") -> Notes:
    notes = Notes()
    for seq, line in enumerate(lines):
        notes.add(seq, role, find(line, role))
    return notes


def noted(text: str, role: str) -> list[Finding]:
    """Give what is worth a note by itself, not only as the newer form of another one."""
    return [finding for finding in find(text, role) if not finding.faint]


def shown(notes: Notes) -> str:
    return "\n".join(note.shown for note in notes.by_id.values() if note.live)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "the id is 8b59d65c-bac9-2cab-0978-3db0951fb595 today",
            "8b59d65c-bac9-2cab-0978-3db0951fb595",
        ),
        ("see https://example.org/a?b=1 for it", "https://example.org/a?b=1"),
        ("it is in /srv/app/main.py now", "/srv/app/main.py"),
        ("端口是8080，谢谢", "8080"),
        ("am 4. März um 9", "4. März"),
        ("write to ops@example.org", "ops@example.org"),
        ("ticket OPS-1234 is open", "OPS-1234"),
        ("we pay 14,200 EUR", "14,200 EUR"),
        ("set MAX_RETRIES to five", "MAX_RETRIES"),
    ],
)
def test_exact_strings_are_found(text, value):
    """Identifiers, links, paths, dates and amounts are found whole, in several scripts."""
    assert value in {found.text for found in values_of(text)}


@pytest.mark.parametrize(
    ("first", "second", "old", "new"),
    [
        ("The staging port is 8443.", "Actually, the staging port is now 9443.", "8443", "9443"),
        ("Use invoice INV-2231.", "Use invoice INV-7 instead of INV-2231.", "INV-2231 ", "INV-7"),
        (
            "Die Nummer von Lindner ist 4711.",
            "Korrektur: die Nummer von Lindner ist 4812.",
            "4711",
            "4812",
        ),
        ("深圳仓库的订单编号是AB-1。", "更正：深圳仓库的订单编号改为CD-2。", "AB-1", "CD-2"),
        ("The id of the parcel is A-1.", "Wrong one. The id of the parcel is B-2.", "A-1", "B-2"),
    ],
)
def test_a_correction_strikes_the_earlier_value(first, second, old, new):
    """What was corrected is shown no more; what corrects it is."""
    notes = told(first, second)
    live = [note for note in notes.by_id.values() if note.live]
    assert [note.seq for note in live] == [1]
    assert new in shown(notes)
    assert notes.stale_in(0, first) is live[0]


def test_only_the_corrected_half_of_a_sentence_goes():
    """The owner, told in the same sentence as the corrected port, stays."""
    notes = told(
        "The port of staging is 8443 and its owner is Priya Nair.",
        "Actually the port of staging is 9443.",
    )
    assert "Priya Nair" in shown(notes)
    assert "8443" not in shown(notes)


def test_things_told_apart_by_one_word_do_not_correct_each_other():
    """The second gateway's port says nothing of the north gateway's, nor "moved" of "listens"."""
    notes = told(
        "The second gateway listens on port 8001.",
        "The north gateway listens on port 8002.",
        "Actually, the north gateway listens on port 8003.",
    )
    assert "8001" in shown(notes)
    assert "8002" not in shown(notes)


def test_things_told_apart_by_a_number_do_not_correct_each_other():
    """What item 31 is says nothing of item 32; a correction of item 31 does."""
    notes = told("Item 31 weighs and is KX-9001.", "Item 32 weighs and is KX-9002.")
    assert "KX-9001" in shown(notes)
    notes = told(
        "Item 31 weighs and is KX-9001.",
        "Item 32 weighs and is KX-9002.",
        "Correction: item 31 weighs and is KX-9003.",
    )
    assert "KX-9001" not in shown(notes)
    assert "KX-9002" in shown(notes)


def test_a_later_value_without_a_cue_is_worth_as_much_as_the_earlier():
    """Where there is room for one of them, it is not the earlier that stays."""
    notes = told(
        "Remember: the trace of the edge outage is 5e7a0d48-d5e2-f99f-1c5a-6f1fb250e92d, decided.",
        "The trace of the edge outage came as 0b1f2c3d-0000-4444-8888-123456789abc.",
    )
    first, second = notes.by_id.values()
    assert first.live
    assert second.follows == (first.id,)
    assert notes.worth(second) == first.score > second.score
    kept = chosen(notes, notes.by_id.values(), 45, len, 1)
    assert first not in kept
    again = Notes.load(notes.next_id, notes.dump())
    assert again.dump() == notes.dump()


def test_a_notes_comes_back_alike():
    """Dump and load give the same notes, strikes included."""
    notes = told("The port is 1.", "Actually the port is 2.", "Budget: 5,400 EUR.")
    again = Notes.load(notes.next_id, notes.dump())
    assert again.dump() == notes.dump()
    assert again.stale_in(0, "The port is 1.") is not None


def test_taking_the_talk_back_restores_what_was_struck():
    """Without the correction, the value before it holds again."""
    notes = told("The staging port is 8443.", "Actually, the staging port is now 9443.")
    notes.drop_from(1)
    assert "8443" in shown(notes)
    assert notes.stale_in(0, "8443") is None


@pytest.mark.parametrize(
    ("line", "stale"),
    [
        ("It listens on 5.", True),
        ("Ask for 5, then wait.", True),
        ("端口是5。", True),
        ("It listens on gw:5", True),
        ("It listens on 5432.", False),
        ("It listens on 15, which is no 55.", False),
        ("It is of version 1.5, or 5.1.", False),
        ("It listens on 55 5", True),
    ],
)
def test_a_corrected_value_is_looked_for_whole(line, stale):
    """A 5 is no part of 5432, and one beside a script without spaces."""
    notes = told("The port of staging is 5.", "Actually the port of staging is 9.")
    assert (notes.stale_in(0, line) is not None) is stale


def test_a_corrected_name_is_looked_for_whole():
    """Lin is no part of Lindner, however it is written."""
    assert has_whole("the owner is LIN", ["lin"])
    assert not has_whole("the owner is Lindner, not Merlin", ["lin"])
    assert not has_whole("the owner is Lindner", [""])


def test_a_narrative_keeps_the_lines_that_only_hold_a_part_of_a_corrected_value():
    """And loses those that hold it."""
    notes = told("The port of staging is 5.", "Actually the port of staging is 9.")
    episode = Episode(0, 0, [], narrative="It takes 5432 rows.\nIt listens on 5.")
    body = rendered(episode, notes, leads=False)
    assert "5432" in body
    assert "listens" not in body


def test_a_name_ends_before_a_number():
    """A capital word, a verb and an identifier are not one name, so a correction meets its fact."""
    notes = Notes()
    notes.add(1, "user", find("Le code d'accès du dépôt de Lyon est UKV-63709.", "user"))
    gone = notes.add(
        2, "user", find("En fait, le code d'accès du dépôt de Lyon est 92397/DG.", "user")
    )
    assert ["UKV-63709" in note.struck for note in gone] == [True]


def test_a_line_without_an_end_holds_few_values():
    """What is compared with every other note is bounded, and each value counts once."""
    line = " ".join(f"value-{n % 90} filler text" for n in range(900))
    (found,) = find(line, "user")
    assert len(found.values) == len({value.norm for value in found.values}) == 32
    assert found.values[0].text == "value-0"
    assert len(found.text) < 300


@pytest.mark.parametrize(
    "line", ["我女儿最不喜欢吃香菜。", "弟は港町に住んでいました。", "عاش أخي في بيت الجدة."]
)
def test_prose_without_capitals_gives_a_note(line):
    """Where no name can be told by its form, a sentence of some length is kept as it is."""
    (found,) = find(line, "user")
    assert found.text == line
    assert noted(line, "tool") == []


def test_each_records_fields_are_noted_however_many_records_there_are():
    """Forty hosts each with a serial number: a name of a field that many have is no noise."""
    seen = Counter()
    for n in range(40):
        load = "\n".join(f"proc{p}: {'busy' if p % 3 else 'idle'} {n + p}%" for p in range(12))
        found = find(f"host: core-{n}\nserial: SN{4711 + n}\nrack: R{n}-B\n{load}", "tool", seen)
        told = [finding.text for finding in found]
        assert f"serial: SN{4711 + n}" in told
        assert f"rack: R{n}-B" in told


def test_rows_that_are_numbered_are_rows_all_the_same():
    """Twelve processes' loads are a table, whatever numbers their names have."""
    table = "\n".join(f"proc{n}: busy {n * 7}%" for n in range(12))
    assert noted(f"serial: SN4711\n{table}", "tool") == find("serial: SN4711", "tool")


@pytest.mark.parametrize(
    "row",
    [
        "disk{n}: serial WD-AB{n}7",
        "order_{n}_id: KX-{n}7-Q",
        "order_{n}_id: KX-{n}7-Q\norder_{n}_sku: P{n}93-B",
        "host{n}: ip 10.0.0.{n}, owner Ada Berg",
        "job{n}: started 2026-03-{n}",
        "file{n}: /srv/data/part-{n}.parquet 12ms",
    ],
)
def test_numbered_rows_that_each_hold_an_id_are_noted(row):
    """An id of its own makes a row a record, though its key differs in a number alone."""
    lines = "\n".join(row.format(n=n) for n in range(11, 25)).splitlines()
    assert [finding.text for finding in find("\n".join(lines), "tool")] == lines


@pytest.mark.parametrize(
    "row",
    ["proc{n}: 1.{n} ms", "proc{n}: 1.{n}ms", "core{n}: {n}00MHz {n}%", "proc{n}: /bin/sh {n}%"],
)
def test_numbered_rows_that_hold_measures_alone_are_not(row):
    """A number with its unit is nobody's id, and what all rows name is no row's own."""
    assert noted("\n".join(row.format(n=n) for n in range(12)), "tool") == []
