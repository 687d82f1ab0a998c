"""The alarms are those of the runbook, and no alarm can be stuck, wake somebody twice, or be about nobody."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cdk.alarms import AlarmSpec, alarm_specs, critical_alarms
from cdk.assembly import SETTINGS_FOLDER
from cdk.functions import VARIABLES
from cdk.settings import EnvironmentSettings, Judge, SettingsError, load_settings
from lambdas.judge.alarm_rules import CRITICAL, AlarmName, AlarmSettings, Effect
from rehearsal.engine.alarms import metric_math
from tests.infrastructure.template import of_type
from tests.infrastructure.test_settings import load_edited, replacing

ENVIRONMENTS = ("production", "staging")
Template = Mapping[str, Any]
Templates = Mapping[str, Template]

ABOVE, BELOW = "GreaterThanThreshold", "LessThanThreshold"
RUNBOOK: dict[str, tuple[str, float | None, float | None]] = {
    "error-rate-api-blue": (ABOVE, 1, 5),
    "error-rate-api-green": (ABOVE, 1, 5),
    "balancer-error-rate-receipt-vault-{}-all": (ABOVE, 1, 5),
    "response-time-api-blue": (ABOVE, 1, 3),
    "response-time-api-green": (ABOVE, 1, 3),
    "cpu-blue": (ABOVE, 70, 90),
    "cpu-green": (ABOVE, 70, 90),
    "memory-blue": (ABOVE, 80, 95),
    "memory-green": (ABOVE, 80, 95),
    "disk-blue": (ABOVE, 80, 90),
    "disk-green": (ABOVE, 80, 90),
    "database-connections-all": (ABOVE, 80, 95),
    "probe-health-all": (BELOW, 100, 100),
    "probe-login-all": (BELOW, 99, 99),
    "probe-upload-all": (BELOW, 95, 95),
    "query-time-all": (ABOVE, 100, None),
    "healthy-hosts-api-blue": (BELOW, None, 1),
    "healthy-hosts-api-green": (BELOW, None, 1),
    "database-all": (BELOW, None, 1),
}
"""What the runbook says: above or below what there is a warning, and what is critical."""
FAST: dict[str, tuple[str, float | None, float | None]] = {
    "fast-error-rate-blue": (ABOVE, None, 5),
    "fast-error-rate-green": (ABOVE, None, 5),
    "fast-response-time-blue": (ABOVE, None, 3),
    "fast-response-time-green": (ABOVE, None, 3),
}
PAGES = {"cpu", "memory", "disk", "database-connections", "database"}
"""What no release is rolled back for: a human decides."""


def of(environment: str) -> EnvironmentSettings:
    (settings,) = load_settings(SETTINGS_FOLDER, (environment,))
    return settings


PRODUCTION = of("production")


def made(template: Template) -> dict[str, dict[str, Any]]:
    """Return the alarms of the table that a template makes, by name; Runback's own three are not among them."""
    found = of_type(template["Resources"], "AWS::CloudWatch::Alarm").values()
    return {
        each["AlarmName"]: each
        for each in found
        if not each["AlarmName"].endswith(("lost-events", "watchdog-silent", "notices-fail"))
    }


def composites(template: Template) -> dict[str, dict[str, Any]]:
    found = of_type(template["Resources"], "AWS::CloudWatch::CompositeAlarm").values()
    return {each["AlarmName"]: each for each in found}


def expression(alarm: Mapping[str, Any]) -> str:
    return "".join(each["Expression"] for each in alarm.get("Metrics", ()) if "Expression" in each)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_threshold_of_the_runbook_has_its_alarm(templates: Templates, environment: str) -> None:
    """And nothing else has one. Staging has no metrics of its application's own."""
    prefix = f"receipt-vault-{environment}"
    expected = {}
    table = RUNBOOK | (FAST if environment == "production" else {})
    for name, (comparison, warning, critical) in table.items():
        what = name.format(environment)
        if warning is not None:
            expected[f"{prefix}-warns-{what}"] = (comparison, warning)
        if critical is not None:
            effect = "pages" if what.rpartition("-")[0] in PAGES else "rolls-back"
            expected[f"{prefix}-{effect}-{what}"] = (comparison, critical)

    found = {
        name: (each["ComparisonOperator"], each["Threshold"]) for name, each in made(templates[environment]).items()
    }
    assert found == expected


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_alarm_that_fills_up_looks_at_more_points_than_it_needs(templates: Templates, environment: str) -> None:
    """The newest points of a load balancer are always fillings: with as many as it needs, it could never come on."""
    filled = {name: each for name, each in made(templates[environment]).items() if "FILL(" in expression(each)}

    assert len(filled) > 8
    assert {
        name: (each["DatapointsToAlarm"], each["EvaluationPeriods"])
        for name, each in filled.items()
        if each["DatapointsToAlarm"] >= each["EvaluationPeriods"]
    } == {}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_alarm_of_a_load_balancer_comes_on_with_two_points_late(templates: Templates, environment: str) -> None:
    """A minute may be published two minutes after its end."""
    for name, alarm in made(templates[environment]).items():
        if "AWS/ApplicationELB" in json.dumps(alarm):
            assert alarm["EvaluationPeriods"] - alarm["DatapointsToAlarm"] >= 2, name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_rolls_back_comes_on_within_five_minutes(environment: str) -> None:
    """After a fault that fails nearly everything, with everything two minutes late."""
    for spec in alarm_specs(of(environment)):
        if spec.name.effect is Effect.ROLLS_BACK and not spec.name.subject.startswith("probe-"):
            seconds = spec.lasting.period_seconds * spec.lasting.breaching + 120
            assert seconds <= 240, spec.name


def test_what_the_application_publishes_rolls_back_within_ninety_seconds() -> None:
    """Its points are at most two periods late, and the one in which the fault began may not count."""
    fast = [spec.lasting for spec in alarm_specs(PRODUCTION) if spec.name.subject.startswith("fast-")]

    assert len(fast) == 4
    assert {each.period_seconds * (1 + each.breaching + 2) for each in fast} == {60}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_alarm_says_what_it_makes_of_silence(templates: Templates, environment: str) -> None:
    """An idle color and an hour without users are silent and well; a probe is never silent and well."""
    breaching = {name for name, each in made(templates[environment]).items() if each["TreatMissingData"] == "breaching"}
    quiet = {name for name, each in made(templates[environment]).items() if each["TreatMissingData"] == "notBreaching"}

    assert breaching | quiet == set(made(templates[environment]))
    assert breaching == {
        f"receipt-vault-{environment}-{name}"
        for name in ("warns-probe-health-all", "warns-probe-login-all", "warns-probe-upload-all", "pages-database-all")
    }


def test_a_silent_probe_pages_and_rolls_nothing_back() -> None:
    """The probe runs in Runback's own functions: no release can have silenced it."""
    effects = {spec.name.effect for spec in alarm_specs(PRODUCTION) if spec.missing.name == "BREACHING"}

    assert effects == {Effect.PAGES, Effect.WARNS}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_alarm_acts_by_itself(templates: Templates, environment: str) -> None:
    """Who is told what is decided by the rollback machine, once."""
    every = made(templates[environment]) | composites(templates[environment])

    assert [
        name
        for name, each in every.items()
        if any(each.get(kind) for kind in ("AlarmActions", "OKActions", "InsufficientDataActions"))
    ] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_two_composite_alarms_name_all_others(templates: Templates, environment: str) -> None:
    prefix = f"receipt-vault-{environment}"
    children = {
        name: set(re.findall(r'ALARM\("([^"]+)"\)', each["AlarmRule"]))
        for name, each in composites(templates[environment]).items()
    }

    assert children == {
        f"{prefix}-critical": {each for each in made(templates[environment]) if "-warns-" not in each},
        f"{prefix}-warning": {each for each in made(templates[environment]) if "-warns-" in each},
    }
    assert all(" AND " not in each["AlarmRule"] for each in composites(templates[environment]).values())


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_composite_alarm_is_made_after_what_it_names(templates: Templates, environment: str) -> None:
    """CloudWatch refuses a rule that names an alarm which is not there."""
    resources = templates[environment]["Resources"]
    for resource in resources.values():
        if resource["Type"] == "AWS::CloudWatch::CompositeAlarm":
            first = {resources[each]["Properties"]["AlarmName"] for each in resource["DependsOn"]}
            assert first == set(re.findall(r'ALARM\("([^"]+)"\)', resource["Properties"]["AlarmRule"]))


def test_a_load_balancer_s_own_errors_count(templates: Templates) -> None:
    """They are of no target group, so no color's alarm sees them."""
    alarm = made(templates["production"])[
        "receipt-vault-production-rolls-back-balancer-error-rate-receipt-vault-production-all"
    ]
    watched = [each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each]

    assert {each["MetricName"] for each in watched} == {
        "RequestCount",
        "HTTPCode_Target_5XX_Count",
        *(f"HTTPCode_ELB_{status}_Count" for status in (500, 502, 503, 504)),
    }
    balancer = {"Name": "LoadBalancer", "Value": "app/receipt-vault-production/50dc6c495c0c9188"}
    assert all(each["Dimensions"] == [balancer] for each in watched)


def test_a_color_s_alarms_are_of_its_target_group(templates: Templates) -> None:
    alarm = made(templates["production"])["receipt-vault-production-rolls-back-error-rate-api-green"]
    dimensions = {
        each["Name"]: each["Value"]
        for metric in alarm["Metrics"]
        if "MetricStat" in metric
        for each in metric["MetricStat"]["Metric"]["Dimensions"]
    }

    assert dimensions == {
        "LoadBalancer": "app/receipt-vault-production/50dc6c495c0c9188",
        "TargetGroup": "targetgroup/receipt-vault-production-green/d1b0f4a96c3e5728",
    }


def test_a_route_that_is_a_rule_is_of_its_listener_s_load_balancer() -> None:
    rule = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/app/it/50dc6c495c0c9188/f2f7/8a1b"
    route = PRODUCTION.routes[0].model_copy(update={"listener_arn": None, "rule_arn": rule})
    specs = alarm_specs(PRODUCTION.model_copy(update={"routes": (route,)}))
    (watched,) = [each for each in specs if each.name.full("it") == "it-rolls-back-error-rate-api-green"]

    assert dict(watched.metrics["requests"].dimensions)["LoadBalancer"] == "app/it/50dc6c495c0c9188"
    assert AlarmName(Effect.ROLLS_BACK, "balancer-error-rate-it") in {each.name for each in specs}


def test_routes_of_one_load_balancer_share_its_alarms() -> None:
    """Two alarms of one name would be one alarm, and not the one that was meant."""
    routes = [PRODUCTION.routes[0].model_copy(update={"name": name}) for name in ("api", "web")]
    names = [each.name for each in alarm_specs(PRODUCTION.model_copy(update={"routes": tuple(routes)}))]

    assert len(set(names)) == len(names)
    assert AlarmName(Effect.ROLLS_BACK, "error-rate-web", "blue") in names


@pytest.mark.parametrize("source", ["logs", "load_balancer"])
def test_only_an_application_that_publishes_metrics_has_alarms_of_them(source: str) -> None:
    judge = Judge.model_validate({"source": source})
    subjects = {each.name.subject for each in alarm_specs(PRODUCTION.model_copy(update={"judge": judge}))}

    assert not {each for each in subjects if each.startswith("fast-")}
    assert "error-rate-api" in subjects


@pytest.mark.parametrize("color", ["blue", "green"])
def test_the_application_s_own_metrics_are_those_of_settings(color: str, templates: Templates) -> None:
    alarm = made(templates["production"])[f"receipt-vault-production-rolls-back-fast-error-rate-{color}"]
    watched = [each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each]

    assert {(each["Metric"]["Namespace"], each["Metric"]["MetricName"]) for each in watched} == {
        ("ReceiptVault", "Requests"),
        ("ReceiptVault", "Errors"),
    }
    assert {each["Period"] for each in watched} == {10}
    dimension = {"Name": "AutoScalingGroupName", "Value": f"receipt-vault-production-{color}"}
    assert all(each["Metric"]["Dimensions"] == [dimension] for each in watched)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_response_times_are_of_the_slow_not_of_the_average(templates: Templates, environment: str) -> None:
    slow = [each for name, each in made(templates[environment]).items() if "response-time" in name]
    statistics = {each["MetricStat"]["Stat"] for alarm in slow for each in alarm["Metrics"] if each["Id"] == "seconds"}

    assert statistics == {"p95"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_name_can_be_read_back(templates: Templates, environment: str) -> None:
    """Claim, watchdog and notices know an alarm by its name alone."""
    prefix = f"receipt-vault-{environment}"
    read = {AlarmName.read(name, prefix): name for name in made(templates[environment])}

    assert read == {spec.name: spec.name.full(prefix) for spec in alarm_specs(of(environment))}
    assert not any(AlarmName.read(name, prefix) for name in composites(templates[environment]))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_functions_know_how_many_critical_alarms_there_must_be(templates: Templates, environment: str) -> None:
    """An alarm that somebody deleted would never be on."""
    told = AlarmSettings.from_json(VARIABLES["ALARMS"](of(environment)))
    there = [name for name in made(templates[environment]) if name.startswith(tuple(told.name_prefixes()))]

    assert told == AlarmSettings(f"receipt-vault-{environment}", len(there))


@pytest.mark.parametrize("spec", alarm_specs(PRODUCTION), ids=lambda spec: spec.name.full("an"))
def test_whoever_is_woken_reads_what_is_wrong_and_what_to_do(spec: AlarmSpec) -> None:
    by_hand = "start receipt-vault-production-rollback with {}"
    helps = spec.name.effect in CRITICAL and spec.name.subject != "database"

    assert f"{spec.threshold:g}" in spec.description
    assert (by_hand in spec.description) == helps
    assert len(spec.description) < 400


def test_a_percentage_of_connections_is_of_those_that_the_database_allows() -> None:
    database = PRODUCTION.database.model_copy(update={"maximum_connections": 123})
    specs = alarm_specs(PRODUCTION.model_copy(update={"database": database}))

    assert {each.expression for each in specs if each.name.subject == "database-connections"} == {
        "100 * connections / 123"
    }


def test_only_checks_that_are_probed_have_an_alarm() -> None:
    checks = PRODUCTION.checks.model_copy(update={"probe": ("login",)})
    specs = alarm_specs(PRODUCTION.model_copy(update={"checks": checks}))

    assert {each.name.subject for each in specs if each.name.subject.startswith("probe-")} == {"probe-login"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_alarm_computes_what_the_table_says(templates: Templates, environment: str) -> None:
    alarms = made(templates[environment])
    for spec in alarm_specs(of(environment)):
        alarm = alarms[spec.name.full(f"receipt-vault-{environment}")]
        watched = {each["Id"]: each["MetricStat"] for each in alarm.get("Metrics", ()) if "MetricStat" in each}

        assert expression(alarm) == ("" if spec.expression in spec.metrics else spec.expression)
        assert {each["Period"] for each in watched.values() or (alarm,)} == {spec.lasting.period_seconds}
        assert {each: watched[each]["Metric"]["MetricName"] for each in watched} == (
            {each: spec.metrics[each].name for each in spec.metrics} if watched else {}
        )


RATE, BALANCER, SLOW = "error-rate-api", "balancer-error-rate-receipt-vault-production", "response-time-api"
MINUTES: dict[str, tuple[str, dict[str, float], float]] = {
    "nobody asked": (RATE, {}, 0),
    "nobody failed": (RATE, {"requests": 100}, 0),
    "too few asked to prove something": (RATE, {"requests": 19, "errors": 19}, 0),
    "too few failed to prove something": (RATE, {"requests": 20, "errors": 4}, 0),
    "just enough failed": (RATE, {"requests": 20, "errors": 4, "connections": 1}, 25),
    "as many failed as may": (RATE, {"requests": 100, "errors": 5}, 5),
    "more failed than may": (RATE, {"requests": 100, "errors": 4, "connections": 4}, 8),
    "nobody was connected": (RATE, {"requests": 50, "connections": 50}, 100),
    "nobody came": (BALANCER, {}, 0),
    "some were answered by the load balancer": (BALANCER, {"requests": 100, "elb502": 10, "elb504": 10}, 20),
    "instances failed": (BALANCER, {"requests": 100, "errors": 10}, 10),
    "a few were refused": (BALANCER, {"elb503": 19}, 0),
    "all were refused": (BALANCER, {"elb503": 199}, 99.5),
    "nobody waited": (SLOW, {}, 0),
    "one in twenty waited, and that is four": (SLOW, {"requests": 99, "seconds": 9}, 0),
    "one in twenty waited, and that is five": (SLOW, {"requests": 100, "seconds": 9}, 9),
    "an idle color": ("healthy-hosts-api", {}, 1),
    "an idle color that is looked at": ("healthy-hosts-api", {"requests": 19, "hosts": 0}, 1),
    "a color that serves": ("healthy-hosts-api", {"requests": 100, "hosts": 2}, 2),
    "a color that serves from no instance": ("healthy-hosts-api", {"requests": 100, "hosts": 0}, 0),
    "a color whose instances nobody counts": ("healthy-hosts-api", {"requests": 100}, 1),
    "the application failed": ("fast-error-rate", {"requests": 40, "errors": 10}, 25),
    "the application failed a few": ("fast-error-rate", {"requests": 10, "errors": 10}, 0),
    "the application is slow": ("fast-response-time", {"requests": 40, "seconds": 4}, 4),
    "the database is half used": ("database-connections", {"connections": 250}, 50),
}
"""A minute's metrics, absent where CloudWatch has none, and what an alarm makes of it."""


@pytest.mark.parametrize(("subject", "metrics", "expected"), MINUTES.values(), ids=MINUTES.keys())
def test_a_minute_is_judged_by_what_there_is(subject: str, metrics: dict[str, float], expected: float) -> None:
    minute = datetime(2026, 3, 1, 10, tzinfo=UTC)
    spec = next(each for each in alarm_specs(PRODUCTION) if each.name.subject == subject)
    series = {each: {minute: metrics[each]} if each in metrics else {} for each in spec.metrics}

    assert metric_math.parse(spec.expression).over(series, [minute]) == {minute: expected}


def probing(names: list[str]) -> str:
    """Return as many more smoke checks, as TOML."""
    return "".join(f'[[checks.smoke]]\nname = "{name}"\npath = "/"\n\n' for name in names)


@pytest.mark.parametrize(
    "names",
    [[f"check-{n}" for n in range(80)], ["check-" + "o" * 80 + f"-{n}" for n in range(60)]],
    ids=["many", "long"],
)
def test_more_alarms_than_one_can_sum_up_are_refused(names: list[str], tmp_path: Path) -> None:
    """CloudFormation would say so in the middle of a deployment, and not what to do."""
    with pytest.raises(SettingsError, match=r"checks\.probe: and routes make .*: probe fewer checks") as refused:
        load_edited(tmp_path, replacing("# Every look at a bake", f"{probing(names)}# Every look at a bake"))
    (told,) = re.findall(r"make (\d+) critical alarms, whose names fill (\d+) characters", str(refused.value))
    more = tuple(PRODUCTION.checks.smoke[0].model_copy(update={"name": name}) for name in names)
    checks = PRODUCTION.checks.model_copy(update={"smoke": (*PRODUCTION.checks.smoke, *more)})
    settings = PRODUCTION.model_copy(update={"checks": checks})
    critical = [spec.name.full(settings.prefix) for spec in alarm_specs(settings) if spec.is_critical]
    rule = " OR ".join(f'ALARM("{name}")' for name in critical)

    assert critical_alarms(settings) <= int(told[0]) <= critical_alarms(settings) + 3
    assert len(rule) <= int(told[1])
    assert int(told[0]) > 100 or int(told[1]) > 10240
