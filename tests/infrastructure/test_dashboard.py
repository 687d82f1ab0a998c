"""Whoever is paged finds everything on one screen."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.dashboard import machines
from cdk.settings import load_settings
from tests.infrastructure.template import of_type, only

ENVIRONMENTS = ("production", "staging")
Templates = Mapping[str, Any]


def widgets(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the dashboard's widgets, with the logical ids of alarms for their ARNs."""
    body = only(template["Resources"], "AWS::CloudWatch::Dashboard")["DashboardBody"]
    parts = body["Fn::Join"][1]
    found: list[dict[str, Any]] = json.loads(
        "".join(part if isinstance(part, str) else part.get("Ref") or part["Fn::GetAtt"][0] for part in parts)
    )["widgets"]
    return found


def titled(template: Mapping[str, Any], title: str) -> dict[str, Any]:
    (found,) = (each for each in widgets(template) if each["properties"]["title"] == title)
    return found


def lines(widget: Mapping[str, Any]) -> set[str]:
    """Return what the lines of a graph are called."""
    return {each[-1]["label"] for each in widget["properties"]["metrics"] if each[-1].get("visible", True)}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_has_one_dashboard_with_its_name(templates: Templates, environment: str) -> None:
    dashboard = only(templates[environment]["Resources"], "AWS::CloudWatch::Dashboard")

    assert dashboard["DashboardName"] == f"receipt-vault-{environment}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_is_on_one_screen(templates: Templates, environment: str) -> None:
    """24 columns, all of them used in every row, and no widget on another."""
    places = [
        (x, y)
        for each in widgets(templates[environment])
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]

    assert sorted(places) == [(x, y) for x in range(24) for y in range(16)]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_state_of_every_alarm_is_shown(templates: Templates, environment: str) -> None:
    resources = templates[environment]["Resources"]
    shown = {
        title: {
            resources[each]["Properties"]["AlarmName"]
            for each in titled(templates[environment], title)["properties"]["alarms"]
        }
        for title in ("Any alarm", "Critical", "Warnings")
    }
    prefix = f"receipt-vault-{environment}"
    others = {f"{prefix}-{name}" for name in ("lost-events", "watchdog-silent", "notices-fail")}
    leaves = {each["AlarmName"] for each in of_type(resources, "AWS::CloudWatch::Alarm").values()}

    assert shown["Any alarm"] == {f"{prefix}-critical", f"{prefix}-warning"}
    assert shown["Critical"] | shown["Warnings"] == leaves - others
    assert {each for each in leaves if each.startswith(f"{prefix}-warns-")} == shown["Warnings"]


GRAPHS = {
    "Requests a minute": {"api blue", "api green"},
    "Failed requests (%)": {
        "error-rate-api blue",
        "error-rate-api green",
        "balancer-error-rate-receipt-vault-production",
        "fast-error-rate blue",
        "fast-error-rate green",
    },
    "Response time (s)": {
        "response-time-api blue",
        "response-time-api green",
        "fast-response-time blue",
        "fast-response-time green",
    },
    "Healthy instances": {"api blue", "api green"},
    "Success of the probe (%)": {"probe-health", "probe-login", "probe-upload"},
    "Query of the probe (ms)": {"query-time"},
    "Database connections (%)": {"database-connections"},
    "Processors (%)": {"cpu blue", "cpu green"},
    "Memory (%)": {"memory blue", "memory green"},
    "Disk (%)": {"disk blue", "disk green"},
}


@pytest.mark.parametrize(("title", "expected"), GRAPHS.items(), ids=GRAPHS.keys())
def test_a_graph_draws_what_the_alarms_watch(title: str, expected: set[str], templates: Templates) -> None:
    assert lines(titled(templates["production"], title)) == expected


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Failed requests (%)", {("warning", 1), ("critical", 5)}),
        ("Response time (s)", {("warning", 1), ("critical", 3)}),
        ("Query of the probe (ms)", {("warning", 100)}),
        ("Memory (%)", {("warning", 80), ("critical", 95)}),
        ("Success of the probe (%)", {("critical", 95), ("critical", 99), ("critical", 100)}),
    ],
)
def test_a_graph_shows_where_its_alarms_begin(
    title: str, expected: set[tuple[str, float]], templates: Templates
) -> None:
    bounds = titled(templates["production"], title)["properties"]["annotations"]["horizontal"]

    assert {(each["label"], each["value"]) for each in bounds} == expected


def test_lines_of_two_colors_are_of_their_colors(templates: Templates) -> None:
    metrics = titled(templates["production"], "Memory (%)")["properties"]["metrics"]

    assert {each[-1]["label"]: each[-1]["color"] for each in metrics} == {
        "memory blue": "#1f77b4",
        "memory green": "#2ca02c",
    }


def test_instances_of_a_color_without_requests_are_counted(templates: Templates) -> None:
    """Its alarm takes it for healthy; a reader would take that for an instance."""
    metrics = titled(templates["production"], "Healthy instances")["properties"]["metrics"]

    assert {each[1] for each in metrics} == {"HealthyHostCount"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_executions_of_every_machine_are_counted_by_how_they_ended(templates: Templates, environment: str) -> None:
    (settings,) = load_settings(SETTINGS_FOLDER, (environment,))
    resources = templates[environment]["Resources"]
    names = {each["StateMachineName"] for each in of_type(resources, "AWS::StepFunctions::StateMachine").values()}
    counted = titled(templates[environment], "Executions that succeeded (left), or did not (right)")
    arns = {metric[3].rpartition(":")[2] for metric in counted["properties"]["metrics"]}

    assert names == arns == {f"receipt-vault-{environment}-{each}" for each in machines(settings)}
    assert {metric[1] for metric in counted["properties"]["metrics"]} == {
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsTimedOut",
        "ExecutionsAborted",
    }
