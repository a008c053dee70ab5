"""The dashboard and the alert rules name metrics and labels that a live scrape really has."""

from __future__ import annotations

import copy
import json
import re
import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from agentrm_plugins.cli.app import app
from tests.telemetry.export.grafana import faults
from tests.telemetry.export.promql import grouped_by, metrics_of
from tests.telemetry.export.scraping import busy, samples, scraped, with_all
from tests.telemetry.export.test_prometheus import promtool

SCRAPE_ADDS = {"instance", "job"}


def printed(command):
    done = CliRunner().invoke(app, [command])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def dashboard():
    return json.loads(printed("dashboard"))


@pytest.fixture(scope="module")
def alerts():
    [group] = yaml.safe_load(printed("alerts"))["groups"]
    return group["rules"]


@pytest.fixture(scope="module")
def live():
    """What a live scrape has: the labels of each sample's name, and their values."""
    with pytest.MonkeyPatch.context() as patch, busy() as rm:
        with_all(rm, patch)
        found = {}
        for name, labels in samples(scraped(rm)):
            own = found.setdefault(name, {})
            for label, value in labels:
                own.setdefault(label, set()).add(value)
        return found


def expressions(dashboard, alerts):
    found = [
        (panel["title"], target["expr"], target["legendFormat"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
    variables = [
        (variable["name"], variable["query"]["query"], "")
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    return found + variables + [(rule["alert"], rule["expr"], "") for rule in alerts]


def test_every_expression_names_what_is_really_exported(dashboard, alerts, live):
    """Each metric is in the scrape, each label is one of its own, each fixed value occurs."""
    faults = []
    told = expressions(dashboard, alerts)
    for where, expression, _ in told:
        named = metrics_of(expression)
        assert named, f"{where}: {expression} names no metric"
        for metric, matchers in named:
            if metric not in live:
                faults.append(f"{where}: no metric {metric}")
                continue
            for label, value in matchers.items():
                if label not in live[metric].keys() | SCRAPE_ADDS:
                    faults.append(f"{where}: {metric} has no label {label}")
                elif "$" not in value and "|" not in value and value not in live[metric][label]:
                    faults.append(f"{where}: {metric} never has {label}={value}")
        own = {label for metric, _ in named for label in live.get(metric, ())}
        faults += [
            f"{where}: groups by {label}" for label in grouped_by(expression) - own - SCRAPE_ADDS
        ]
    assert len(told) > 60
    assert not faults, "\n".join(faults)


def test_every_legend_names_a_label_that_is_left(dashboard):
    """A legend of a label that was summed away would be empty."""
    faults = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            left = grouped_by(target["expr"]) or SCRAPE_ADDS
            if "sum(" in target["expr"] or "max(" in target["expr"]:
                left = set()
            if not wanted <= left:
                faults.append(f"{panel['title']}: {wanted - left}")
    assert not faults, "\n".join(faults)


def test_the_checks_can_fail(live):
    """A metric that is none, a label that is none, a value that never is."""
    assert metrics_of('sum(rate(agentrm_nothing_total{x="y"}[5m]))') == [
        ("agentrm_nothing_total", {"x": "y"})
    ]
    assert "agentrm_nothing_total" not in live
    assert grouped_by('sum by (a, le) (x{b="by (c)"})') == {"a", "le"}


def test_the_dashboard_is_one_that_grafana_takes(dashboard):
    """Numbers and places of panels are their own, none overlaps, a data source can be chosen."""
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells
    for panel in panels:
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"
    names = [variable["name"] for variable in dashboard["templating"]["list"]]
    assert names == ["datasource", "instance", "endpoint"]


def test_every_field_is_as_grafana_documents_it(dashboard):
    """Panels, targets, variables, field config and options: known fields with values that fit."""
    assert faults(dashboard) == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda made: made["panels"][1].update(type="graph"), ".panels[1].type"),
        (lambda made: made["panels"][1]["targets"][0].pop("refId"), "without refId"),
        (lambda made: made["panels"][1]["targets"][0].update(exprs="x"), "exprs: is not"),
        (lambda made: made["panels"][1]["gridPos"].update(w=25), ".gridPos.w: 25"),
        (lambda made: made["panels"][1]["datasource"].update(uid="abc"), ".datasource.uid"),
        (lambda made: made["panels"][1]["options"]["legend"].pop("showLegend"), "showLegend"),
        (lambda made: made["templating"]["list"][1].update(refresh="2"), ".refresh: '2'"),
        (lambda made: made.update(schemaVersion="39"), ".schemaVersion"),
        (lambda made: made.update(uid="short"), ".uid"),
        (lambda made: made.update(__inputs=[]), "__inputs"),
    ],
)
def test_what_grafana_does_not_document_is_found(dashboard, spoil, told):
    """The check can fail, with the place of what is wrong."""
    made = copy.deepcopy(dashboard)
    spoil(made)
    assert any(told in fault for fault in faults(made)), faults(made)


def test_queries_of_one_panel_have_letters_of_their_own(dashboard):
    """And every variable that an expression uses is one of the dashboard's, or Grafana's own."""
    own = {variable["name"] for variable in dashboard["templating"]["list"]}
    for panel in dashboard["panels"]:
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(letters)) == len(letters)
        for target in panel.get("targets", ()):
            used = set(re.findall(r"\$\{?(\w+)", target["expr"]))
            assert used <= own | {"__rate_interval"}


def test_the_dashboard_shows_all_that_an_operator_needs(dashboard):
    """Lanes, levels, waits, 429s, retries, tokens, cost, limits, pressure, breaker, fleet, ..."""
    text = json.dumps(dashboard)
    for metric in (
        "agentrm_lanes_in_use", "agentrm_queue_depth", "agentrm_queue_wait_seconds_bucket",
        "agentrm_endpoint_limit_hits_total", "agentrm_calls_retried_total", "agentrm_tokens_total",
        "agentrm_tenant_cost_total", "agentrm_calls_zombies", "agentrm_rate_proximity_ratio",
        "agentrm_rate_binds_in_seconds", "agentrm_pressure_ratio", "agentrm_endpoint_breaker",
        "agentrm_calls_hedged_total", "agentrm_events_dropped_total", "agentrm_context_tokens",
        "agentrm_context_compactions_total", "agentrm_context_recalls_total",
        "agentrm_fleet_members", "agentrm_fleet_exchanges_total", "agentrm_fleet_outages_total",
        "agentrm_fleet_lease_age_seconds",
    ):  # fmt: skip
        assert metric in text, metric


def test_every_rule_says_how_bad_it_is_and_what_to_do(alerts):
    """A name of its own, a severity, a sentence."""
    assert len({rule["alert"] for rule in alerts}) == len(alerts) > 10
    for rule in alerts:
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert rule["annotations"]["summary"]


def test_promtool_takes_every_expression(dashboard, alerts, tmp_path):
    """The rules as they are printed, and the dashboard's expressions as rules."""
    tool = promtool()
    if tool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    (tmp_path / "alerts.yaml").write_text(printed("alerts"), encoding="utf-8")
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (_, expression, legend) in enumerate(expressions(dashboard, ()))
        if legend
    ]
    groups = {"groups": [{"name": "panels", "rules": rules}]}
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump(groups), encoding="utf-8")
    files = [str(tmp_path / name) for name in ("alerts.yaml", "panels.yaml")]
    done = subprocess.run(
        [tool, "check", "rules", *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alerts)} rules found" in done.stdout
    assert f"{len(rules)} rules found" in done.stdout
