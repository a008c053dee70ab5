"""The congestion benchmark runs and writes what its README promises. Its figures are not tested."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from benchmarks.congestion.__main__ import main
from benchmarks.congestion.measure import best_peer, combine, jain, quantile, storms
from benchmarks.congestion.plot import title_of, write_html, write_svg
from benchmarks.congestion.scenarios import MORE, SUITE, Variant
from benchmarks.congestion.workload import make_agents, reserved_tokens


@pytest.mark.slow
def test_quick_mode_of_one_scenario_writes_all_its_files(tmp_path, capsys):
    """The oracle and a peer finish, and table, numbers and plot are written."""
    path = tmp_path / "new" / "congestion.json"
    arguments = ["--quick", "--scenario", "requests", "--peer", "ours", "--peer", "sdk, 2 retries"]
    assert main([*arguments, "--jobs", "1", "--json", str(path)]) == 0
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["about"]["seeds"] == [1]
    assert {"python", "machine", "versions"} <= found["about"].keys()
    (rows,) = found["variants"].values()
    assert list(rows) == ["oracle", "ours", "sdk, 2 retries"]
    assert rows["oracle"]["finished"] == found["about"]["agents"]
    assert all("skipped" not in row for row in rows.values())
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "| oracle " in text
    assert "| oracle " in capsys.readouterr().out
    assert path.with_suffix(".svg").read_text(encoding="utf-8").count("<poly") >= 3


SERIES = {
    "allowed": [(1.0, 900.0), (2.0, 900.0), (2.0, 80.0), (4.0, 80.0)],
    "offered": [(0.0, 900.0), (0.5, 120.0), (1.0, 95.0), (4.0, 60.0)],
    "achieved": [(0.0, 800.0), (0.5, 100.0), (1.0, 90.0), (4.0, 60.0)],
    "server's limit": [(0.0, 100.0), (2.0, 100.0), (2.0, 40.0), (4.0, 40.0)],
}


def test_the_picture_shows_each_curve_within_its_frame(tmp_path):
    """Round ticks, a legend, one shape for each curve; what is far above the limit is cut off."""
    path = tmp_path / "plot.svg"
    write_svg(path, "a < b & c", "tokens/s", SERIES)
    root = ET.parse(path).getroot()
    text = [element.text for element in root.iter() if element.text and element.text.strip()]
    assert {"a < b & c", "seconds", "0", "50", "200", *SERIES} <= set(text)
    assert "tokens/s, means of 0.5 s; peaks are cut off" in text
    shapes = [one for one in root.iter() if one.tag.endswith(("polyline", "polygon"))]
    assert len(shapes) == len(SERIES)
    for shape in shapes:
        for point in shape.get("points").split():
            x, y = map(float, point.split(","))
            assert 0 < x < 860
            assert 0 < y < 420
    write_svg(path, "nothing was sent", "requests/s", {"offered": [], "achieved": []})
    assert ET.parse(path).getroot() is not None


def test_the_page_has_the_same_curves(tmp_path):
    """With plotly, which `requirements/bench.txt` holds."""
    pytest.importorskip("plotly")
    path = tmp_path / "plot.html"
    assert write_html(path, "a title", "tokens/s", SERIES)
    text = path.read_text(encoding="utf-8")
    assert "a title" in text
    assert all(json.dumps(name) in text.replace("\\u0027", "'") for name in SERIES)
    assert len(text) < 100_000  # the library is not inside


def test_the_title_says_what_the_variant_is():
    """Its scenario in words, then its name."""
    for variant in SUITE:
        assert title_of(variant.name).endswith(f"({variant.name})")


def test_the_workload_depends_on_the_seed_alone():
    """Same seed, same prompts and pauses; another seed, others; sizes do not depend on it."""
    first, again, other = (make_agents(seed, ("m",)) for seed in (1, 1, 2))
    assert first == again != other
    assert reserved_tokens(first) == reserved_tokens(other)
    assert len(first) == 38


def test_variants_are_named_by_what_they_are():
    """A name is read back as it was written, short forms take the defaults, errors say why."""
    for variant in SUITE + MORE:
        assert Variant.parse(variant.name) == variant
    assert Variant.parse("tokens").name == "tokens/untold/async/own"
    with pytest.raises(ValueError, match="use one of"):
        Variant.parse("tokens/guessed")


def test_storms_are_bursts_of_rejections():
    """429s with less than a second between them are one storm."""
    log = [[at_s, 0.0, "m", status] for at_s, status in ((1, 429), (1.8, 429), (2, 200), (4, 429))]
    assert storms(log) == 2


def test_statistics_are_those_of_the_textbook():
    """Quantiles are values that occurred; Jain's index is 1 for equals and 1/n for one taker."""
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert quantile([], 0.5) is None
    assert jain([2.0, 2.0]) == 1.0
    assert jain([1.0, 0.0]) == 0.5


def test_who_lets_agents_die_is_not_the_best_peer():
    """Ratios are formed run by run, and the best peer is sought among those that finished most."""

    def numbers(finished: int, wall_s: float, p95_s: float) -> dict:
        return {"finished": finished, "wall_s": wall_s, "p95_s": p95_s, "p95_open_s": None}

    runs = {
        "oracle": {1: numbers(9, 2.0, 0.1), 2: numbers(9, 4.0, 0.1)},
        "ours": {1: numbers(9, 3.0, 0.2), 2: numbers(9, 6.0, 0.2)},
        "quick but deadly": {1: numbers(5, 1.0, 0.1), 2: numbers(5, 1.0, 0.1)},
        "slow": {1: numbers(9, 8.0, 0.4), 2: numbers(9, 8.0, 0.4)},
        "absent": {1: {"skipped": "needs a rate"}, 2: {"skipped": "needs a rate"}},
    }
    rows = combine(runs)
    assert best_peer(rows) == "slow"
    assert rows["ours"]["wall_ratio"] == 1.5
    assert rows["ours"]["p95_to_best_peer"] == 0.5
    assert rows["absent"] == {"skipped": "needs a rate"}
