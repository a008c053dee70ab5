"""The five scenarios of arXiv:2603.13110, with every baseline as the paper has it and with ours."""

from __future__ import annotations

from agentrm_plugins.sim import CLAIRVOYANT, SCENARIOS, Model
from benchmarks.published.crowds import SEEDS as CROWD_SEEDS
from benchmarks.published.crowds import crowds
from benchmarks.published.mixes import SEEDS as MIXED_SEEDS
from benchmarks.published.mixes import mixes
from benchmarks.published.refusals import cascade_of_refusals
from benchmarks.published.report import bars, lines, number, progress, spread, table, write
from benchmarks.published.worlds import (
    NAMES,
    ORDERS,
    interval,
    many,
    scaled,
    silent_liars,
    summary,
    with_lanes,
)
from benchmarks.published.worlds import lying as lies

SCENARIO_NAMES = ("normal", "high-load", "burst", "faulty", "cascade")
ALL = (*SCENARIO_NAMES, "replay-11", "stress", "latency-spike", "greedy")
# How long the paper's baselines held a zombie, s, and what its table says of FIFO and of MLFQ.
HELD_S = {
    "normal": 80.5,
    "high-load": 78.3,
    "burst": 33.8,
    "faulty": 122.1,
    "cascade": 66.4,
}
CLAIMED = {"p95_s": -86.0, "waste_s": -96.0, "per_min": 168.0}
FAULTY_LANES = (3, 4)
FIRST_TOKEN_S = 2.0  # a healthy call of the model has its first token within 1 s
NINE_SEEDS = 60
SWEEP_SEEDS = 12
HEAD = ("order", "P95 s", "interactive P95 s", "mean slowdown", "turns/min", "zombies > 30 s")
MORE = ("lane waste s", "finished", "starved")
SHOWN = ("p95_s", "interactive_p95_s", "slowdown", "per_min", "past_timeout", "waste_s")


def as_published(name: str, order: str) -> Model:
    """No reaper, no second try; a hang ends when the paper's did."""
    return Model(order, None, hang_s=HELD_S.get(name, 90.0), retry=False)


def with_all(name: str, order: str, *, hints: bool = True) -> Model:
    """The same reaper, timeouts and tries for every order."""
    return Model(order, first_token_s=FIRST_TOKEN_S, hang_s=HELD_S.get(name, 90.0), hints=hints)


def run(seeds: int = 200) -> None:
    """Run it all and write the results."""
    span = range(1, seeds + 1)
    data: dict = {"seeds": seeds, "seeds_of_nine": NINE_SEEDS, "seeds_of_sweeps": SWEEP_SEEDS}
    data |= {"first_token_timeout_s": FIRST_TOKEN_S, "hang_s": HELD_S}
    text = [_INTRODUCTION.format(seeds=seeds, first=FIRST_TOKEN_S)]
    plots = []
    data["worlds"], part, more = _worlds(span)
    text += part
    plots += more
    data["headline"], part = _headline(span)
    text += part
    data["targets"], part = _targets(range(1, min(seeds, NINE_SEEDS) + 1))
    text += part
    data["liars"], part = _liars(span)
    text += part
    data["crowds"], part = crowds(range(1, min(seeds, CROWD_SEEDS) + 1))
    text += part
    progress("paper: refusals")
    data["refusals"], part = cascade_of_refusals(range(1, min(seeds, 50) + 1))
    text += part
    data["sweeps"], more = _sweeps(range(1, min(seeds, SWEEP_SEEDS) + 1))
    plots += more
    data["mixes"], part = mixes(MIXED_SEEDS[:seeds])
    text += part
    write("paper", "The scheduler of arXiv:2603.13110, done again", data, "\n".join(text), plots)


def _worlds(span: range) -> tuple[dict, list[str], list]:
    found: dict = {}
    text, plots = [], []
    for name in SCENARIO_NAMES:
        scenario = SCENARIOS[name]
        text += [f"## {name}\n", f"{scenario.text}.\n"]
        for world, make in (("as published", as_published), ("with everything", with_all)):
            rows = {}
            for order in ORDERS:
                progress(f"paper: {name}, {world}, {order}")
                rows[order] = summary(many(scenario.build, make(name, order), span))
            found[f"{name}, {world}"] = rows
            cells = [
                [
                    NAMES[order],
                    *(spread(row[field]) for field in SHOWN),
                    *(number(row[field][0]) for field in ("finished", "starved")),
                ]
                for order, row in rows.items()
            ]
            text += [f"**{world}**\n", table((*HEAD, *MORE), cells)]
            bar = {NAMES[order]: row["slowdown"] for order, row in rows.items()}
            plots.append(bars(f"{name}, {world}: mean slowdown", bar, "response / service"))
    return found, text, plots


def _headline(span: range) -> tuple[dict, list[str]]:
    """FIFO as the paper has it against ours, and against FIFO with the same reaper."""
    found: dict = {}
    rows = []
    for lanes in FAULTY_LANES:
        build = with_lanes(SCENARIOS["faulty"].build, lanes)
        progress(f"paper: faulty on {lanes} lanes")
        base = many(build, as_published("faulty", "fifo"), span)
        for label, order, first_s in (
            ("ours", "mlfq", FIRST_TOKEN_S),
            ("ours, first token within 5 s", "mlfq", 5.0),
            ("ours, first token within 30 s", "mlfq", 30.0),
            ("FIFO with our reaper", "fifo", FIRST_TOKEN_S),
            ("textbook MLFQ with our reaper", "mlfq_textbook", FIRST_TOKEN_S),
        ):
            model = Model(order, first_token_s=first_s, hang_s=HELD_S["faulty"])
            own = many(build, model, span)
            change = {}
            for field in CLAIMED:
                pairs = zip(own[field], base[field], strict=True)
                change[field] = [100 * (mine / theirs - 1) for mine, theirs in pairs if theirs]
            medians = {field: interval(values) for field, values in change.items()}
            past = interval(own["past_timeout"])
            entry = {field: [round(v, 1) for v in medians[field]] for field in CLAIMED}
            entry["past_timeout"] = list(past)
            found[f"{label}, {lanes} lanes"] = entry
            cells = [f"{v[0]:+.0f} % ({v[1]:+.0f} to {v[2]:+.0f})" for v in medians.values()]
            rows.append([f"{label}, {lanes} lanes", *cells, number(past[0])])
    rows.append(["the paper's MLFQ", *(f"{v:+.0f} %" for v in CLAIMED.values()), "0"])
    head = ("against FIFO as published", "P95", "lane waste", "throughput", "zombies > 30 s")
    text = ["## The paper's headline: Faulty, against FIFO without a reaper\n", table(head, rows)]
    return found, text


def _targets(span: range) -> tuple[dict, list[str]]:
    """All nine scenarios, with and without hints, every order with the same reaper and tries."""
    found: dict = {}
    text = [
        "## Nine scenarios, every order with the same reaper (30 s) and tries\n",
        f"{len(span)} seeds.\n",
    ]
    for hints in (True, False):
        rows = []
        for name in ALL:
            progress(f"paper: nine scenarios, {name}, hints {hints}")
            entry = {
                order: summary(many(SCENARIOS[name].build, Model(order, hints=hints), span))
                for order in ORDERS
            }
            found[f"{name}, {'hints' if hints else 'no hints'}"] = entry
            for order, row in entry.items():
                shown = ("slowdown", "interactive_p95_s", "worst_slowdown", "in_time")
                cells = [number(row[field][0]) for field in shown]
                rows.append([name if order == ORDERS[0] else "", NAMES[order], *cells])
        text += [f"**{'With' if hints else 'Without'} hints**\n"]
        head = ("scenario", "order", "mean slowdown", "interactive P95 s", "largest slowdown")
        text.append(table((*head, "finished until the last arrival"), rows))
    return found, text


def _liars(span: range) -> tuple[dict, list[str]]:
    """Every other batch agent calls itself interactive: what that costs the others."""
    found: dict = {}
    rows = []
    for name in ("high-load", "burst", "faulty", "cascade", "greedy"):
        for order in ("priority", "mlfq_textbook", "mlfq"):
            progress(f"paper: liars, {name}, {order}")
            told = {}
            for label, hints in (("silent", silent_liars), ("lying", lies)):
                told[label] = interval(others_slowdown(name, Model(order, hints=hints), span))
            change = 100 * (told["lying"][0] / told["silent"][0] - 1)
            found[f"{name}, {order}"] = {**told, "change_percent": round(change, 1)}
            rows.append(
                (
                    *(name, NAMES[order], spread(told["silent"]), spread(told["lying"])),
                    f"{change:+.0f} %",
                )
            )
    head = ("scenario", "order", "liars silent", "liars lie", "change")
    text = ["## Liars: mean slowdown of those who do not lie\n", table(head, rows)]
    return found, text


def others_slowdown(name: str, model: Model, span: range) -> list[float]:
    """The mean slowdown of those who do not lie, for each seed."""
    from agentrm_plugins.sim import run_model
    from benchmarks.published.worlds import is_liar

    means = []
    for seed in span:
        run = run_model(SCENARIOS[name].build(seed), model)
        slow = [
            (record.ended_s - record.arrived_s) / record.turn.service_s
            for record in run.records
            if record.finished and not is_liar(record.turn)
        ]
        means.append(sum(slow) / len(slow))
    return means


HIGH = SCENARIOS["high-load"].build
SHOWN_ORDERS = ("fifo", "priority", "hrrn", "mlfq_textbook", "mlfq", CLAIRVOYANT)
QUEUES = ("mlfq", "mlfq_textbook")
# Title, what is swept, its values, the world for a value and an order, the orders.
SWEEPS = (
    (
        *("High load: lanes", "lanes", range(2, 9)),
        lambda n, order: (with_lanes(HIGH, n), Model(order)),
        SHOWN_ORDERS,
    ),
    (
        *("High load: length of calls", "times the length", (0.25, 0.5, 0.75, 1.0, 1.5)),
        lambda f, order: (scaled(HIGH, f), Model(order)),
        SHOWN_ORDERS,
    ),
    (
        *("High load: quanta", "first quantum, s", (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)),
        lambda q, order: (
            HIGH,
            Model(order, scheduler={"time_quanta_s": (q, 2 * q, 4 * q, 8 * q)}),
        ),
        QUEUES,
    ),
    (
        *("High load: half-life of service", "half-life, s"),
        (10.0, 30.0, 60.0, 120.0, 300.0, 1e6),
        lambda h, order: (HIGH, Model(order, scheduler={"service_half_life_s": h})),
        ("mlfq",),
    ),
    (
        *("High load: boost", "dispatches", (10, 30, 100, 300, 1000)),
        lambda n, order: (HIGH, Model(order, scheduler={"boost_interval": n})),
        QUEUES,
    ),
    (
        *("Faulty: silence timeout", "silence, s", (5.5, 10.0, 20.0, 30.0, 60.0)),
        lambda s, order: (SCENARIOS["faulty"].build, Model(order, s)),
        SHOWN_ORDERS,
    ),
)


def _sweeps(span: range) -> tuple[dict, list]:
    """What the paper leaves open: lanes, lengths, quanta, half-life, boost, silence."""
    found: dict = {}
    plots = []
    for title, x, points, make, orders in SWEEPS:
        series: dict = {}
        for order in orders:
            progress(f"paper: sweep of {x}, {order}")
            curve = [
                [point, interval(many(*make(point, order), span)["slowdown"])[0]]
                for point in points
            ]
            series[NAMES[order]] = curve
        found[x] = series
        plots.append(lines(title, x, "mean slowdown", series))
    return found, plots


_INTRODUCTION = """
Virtual time, the project's own kernel, medians over {seeds} seeds with 95 % confidence intervals
(order statistics). *As published*: no reaper, no second try, a hang holds its lane for as long as
the paper's table says. *With everything*: a lane is taken back after {first:g} s without a first
token or 30 s of silence, and the turn is tried again, in every order alike. *Clairvoyant*: shortest
first, told the true lengths (not the faults): a bound for whoever must guess. *Slowdown*: response
divided by service. The paper leaves lanes, arrivals and lengths open: what stands below each title
is ours. These are figures of a model, not of a provider.
"""
