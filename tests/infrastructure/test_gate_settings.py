"""Whoever mistypes a gate learns it before anything is built: a gate that looks at nothing would let everybody pass."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.functions import FUNCTIONS, VARIABLES
from cdk.gate_permissions import READ_CALENDARS, READ_FOUNDATIONS, READ_GATED_COMMITS
from cdk.gate_settings import gates_variable, skippable_gates
from cdk.settings import EnvironmentSettings, SettingsError, load_settings
from lambdas.gates.gate_rules import Gate, GateSettings, Window
from lambdas.release.request_rules import GateLevel

Edit = Callable[[str], str]
CALENDARS = 'calendars = ["arn:aws:ssm:eu-west-1:111122223333:document/receipt-vault-changes"]\n'


def replacing(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def with_gates(table: str) -> Edit:
    """Return what puts another table in the place of the shipped one."""

    def edit(text: str) -> str:
        before, mark, after = text.partition("[gates]\n")
        assert mark
        return f"{before}[gates]\n{table}\n[notifications]{after.partition('[notifications]')[2]}"

    return edit


def load_edited(tmp_path: Path, edit: Edit) -> EnvironmentSettings:
    original = (SETTINGS_FOLDER / "production.toml").read_text(encoding="utf-8")
    (tmp_path / "production.toml").write_text(edit(original), encoding="utf-8")
    shutil.copytree(SETTINGS_FOLDER / "files", tmp_path / "files", dirs_exist_ok=True)
    (settings,) = load_settings(tmp_path)
    return settings


def shipped(environment: str = "production") -> EnvironmentSettings:
    (settings,) = load_settings(SETTINGS_FOLDER, (environment,))
    return settings


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (replacing('backup = "required"', 'backup = "must"'), "gates.backup: must be 'required', 'warn' or 'off'"),
        (
            replacing('backup = "required"', 'bakcup = "required"'),
            "gates.bakcup: is not a setting of Runback: remove it",
        ),
        (replacing('tests = "required"', 'tests = "yes"'), "gates.commit_checks.tests: must be 'required', 'warn'"),
        (replacing('coverage_check = "coverage"\n', ""), "gates.coverage_check: is missing: with coverage"),
        (
            replacing("coverage_percent = 80", "coverage_percent = 80\ncoverage_pattern = '(80'"),
            "gates.coverage_pattern: must be a regular expression, but '(80' is none",
        ),
        (
            replacing("coverage_percent = 80", "coverage_percent = 80\ncoverage_pattern = 'all'"),
            "gates.coverage_pattern: must have one group, in parentheses, that finds the percentage; 'all' has 0",
        ),
        (replacing("coverage_percent = 80", "coverage_percent = 0"), "gates.coverage_percent: must be greater than 0"),
        (
            replacing("/{version}.tar.gz", "/latest.tar.gz"),
            "gates.artifact_location: must contain {version}, where the version's commit goes",
        ),
        (
            replacing("s3://receipt-vault-production-releases/", "https://releases/"),
            'gates.artifact_location: must be where a version is, such as "s3://',
        ),
        (replacing('plan_check = "terraform-plan"\n', ""), ""),
        (replacing(CALENDARS, ""), 'gates.windows: is missing: with change_window = "required", give when releases'),
        (
            replacing(CALENDARS, 'calendars = ["receipt-vault-changes"]\n'),
            "gates.calendars[0]: must be the ARN of a change calendar",
        ),
        (
            replacing(CALENDARS, 'windows = [{ days = ["tue"], begins = "22:00", ends = "04:00" }]\n'),
            'gates.windows[0].ends: must be later than begins, "22:00", not "04:00": a window over midnight is two',
        ),
        (
            replacing(CALENDARS, 'windows = [{ days = ["tue"], begins = "9:00", ends = "16:00" }]\n'),
            'gates.windows[0].begins: must be a time of day, such as "09:00"',
        ),
        (
            replacing(CALENDARS, 'windows = [{ days = ["dienstag"], begins = "09:00", ends = "16:00" }]\n'),
            "gates.windows[0].days[0]: must be 'mon', 'tue',",
        ),
        (
            replacing(CALENDARS, f'{CALENDARS}time_zone = "Europe/Zuerich"\n'),
            "gates.time_zone: must be a time zone, such as \"Europe/Zurich\", not 'Europe/Zuerich'",
        ),
        (
            replacing(CALENDARS, f'{CALENDARS}time_zone = "Africa/Casablanca"\n'),
            "gates.time_zone: must be a time zone that changes its clock by one rule",
        ),
        (
            replacing("wait_minutes = 60", "wait_minutes = 1440"),
            "gates.wait_minutes: must be less than or equal to 360",
        ),
        (
            replacing('zone_id = "Z0412987RECEIPTVAULT", name = "api', 'zone_id = "/hostedzone/Z1", name = "api'),
            "gates.dns_records[0].zone_id: must be the id of a hosted zone",
        ),
        (
            replacing('distributions = ["E2QWRUHAPOMQZL"]', "distributions = []"),
            'gates.distributions: is missing: with cdn = "warn", give the distributions of CloudFront',
        ),
        (
            replacing('validated = "required"', 'validated = "required"\nvalidated_in = "production"'),
            "gates.validated_in: must be another environment than this one",
        ),
        (
            with_gates('validated = "required"\n[pushes_are_gone]'),
            "pushes_are_gone: is not a setting of Runback: remove it",
        ),
    ],
)
def test_mistake_is_told_with_its_field_and_what_to_write(tmp_path: Path, edit: Edit, told: str) -> None:
    if not told:
        load_edited(tmp_path, edit)  # releases are approved here, and whoever approves sees the plan
        return
    with pytest.raises(SettingsError, match=re.escape(f"{tmp_path / 'production.toml'}: {told}")):
        load_edited(tmp_path, edit)


def test_plan_that_nobody_reviews_is_told(tmp_path: Path) -> None:
    def edit(text: str) -> str:
        return text.replace('plan_check = "terraform-plan"\n', "").replace("releases = true\n", "")

    with pytest.raises(SettingsError, match=r"gates\.plan_check: is missing: name the check of GitHub"):
        load_edited(tmp_path, edit)


def test_gates_of_github_need_github(tmp_path: Path) -> None:
    def edit(text: str) -> str:
        for table in ("github", "pushes"):
            before, _, after = text.partition(f"\n[{table}]\n")
            text = f"{before}\n[{after.partition(chr(10) + '[')[2]}"
        return text

    with pytest.raises(SettingsError, match=r"gates\.commit_checks: and coverage are asked of GitHub: add the table"):
        load_edited(tmp_path, edit)


def test_more_than_a_function_can_be_told_is_refused(tmp_path: Path) -> None:
    records = ", ".join(f'{{ zone_id = "Z0123456789", name = "host-{n}.example.com" }}' for n in range(60))
    with pytest.raises(SettingsError, match=r"gates: and routes take \d+ bytes, more than the 3000 that a function"):
        load_edited(tmp_path, with_gates(f'dns = "required"\ndns_records = [{records}]\n'))


def test_longer_wait_is_part_of_the_longest_release(tmp_path: Path) -> None:
    """Step Functions would end the execution in the middle of whatever it does."""
    short = load_edited(tmp_path, replacing("wait_minutes = 60", "wait_minutes = 10")).longest_release
    long = load_edited(tmp_path, replacing("wait_minutes = 60", "wait_minutes = 20")).longest_release
    assert long.seconds - short.seconds == 2 * 10 * 60  # before an approval, and after it
    assert long.events - short.events == 2 * 10 * 36


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_functions_are_told_what_settings_say(environment: str) -> None:
    settings = shipped(environment)
    assert settings.gates is not None
    told = GateSettings.from_json(VARIABLES["GATES"](settings))
    assert told.levels == {gate: GateLevel(level) for gate, level in settings.gates.levels.items()}
    assert told.wait_seconds == settings.gates.wait_minutes * 60
    assert told.artifact == settings.gates.artifact_location
    assert told.coverage_percent == settings.gates.coverage_percent
    assert told.backup_hours == settings.gates.backup_hours
    assert told.certificate_days == settings.gates.certificate_days
    assert told.calendars == settings.gates.calendars
    assert {each.name for each in told.dns_records} == {each.name for each in settings.gates.dns_records}
    assert set(Gate) - {Gate.COMMIT_CHECKS} <= set(told.levels)


def test_production_takes_what_staging_has_validated() -> None:
    told = GateSettings.from_json(json.dumps(gates_variable(shipped())))
    assert (told.validated_in, told.validated_table) == ("staging", "receipt-vault-staging-record")


def test_windows_are_told_with_the_rule_of_their_clock(tmp_path: Path) -> None:
    windows = 'time_zone = "Europe/Zurich"\nwindows = [{ days = ["mon", "sun"], begins = "09:00", ends = "24:00" }]\n'
    told = GateSettings.from_json(json.dumps(gates_variable(load_edited(tmp_path, replacing(CALENDARS, windows)))))
    assert told.windows == (Window((0, 6), "09:00", "24:00"),)
    assert (told.time_zone, told.zone_rule) == ("Europe/Zurich", "CET-1CEST,M3.5.0,M10.5.0/3")


def test_emergency_can_name_every_gate_at_which_somebody_looks_and_the_approval() -> None:
    assert {"commit_checks", "commit_checks.tests", "backup", "approval"} <= set(skippable_gates(shipped()))
    assert not {"dns", "approval"} & set(skippable_gates(shipped("staging")))


def test_environment_without_gates_has_nothing_of_them(tmp_path: Path) -> None:
    def edit(text: str) -> str:
        before, _, after = text.partition("[gates]\n")
        return f"{before}[notifications]{after.partition('[notifications]')[2]}"

    settings = load_edited(tmp_path, edit)
    ours = {spec.module for spec in FUNCTIONS if spec.only_with == "gates"}
    assert ours == {
        f"gates.{each}" for each in ("check_commit", "check_infrastructure", "check_operations", "decide_gates")
    }
    assert not ours & {spec.module for spec in FUNCTIONS if spec.is_part_of(settings)}
    assert (VARIABLES["GATES"](settings), VARIABLES["SKIPPABLE"](settings)) == ("", "[]")
    granted = [*READ_GATED_COMMITS, *READ_FOUNDATIONS, READ_CALENDARS]
    assert [statement for each in granted for statement in each.statements(settings)] == []


def actions(settings: EnvironmentSettings) -> set[str]:
    granted = [*READ_GATED_COMMITS, *READ_FOUNDATIONS, READ_CALENDARS]
    return {action for each in granted for statement in each.statements(settings) for action in statement.actions}


@pytest.mark.parametrize(
    ("gate", "gone"),
    [
        ("artifact", {"s3:GetObject", "s3:ListBucket"}),
        ("validated", {"dynamodb:Query"}),
        ("backup", {"rds:DescribeDBInstances", "rds:DescribeDBSnapshots"}),
        (
            "certificate",
            {
                "acm:DescribeCertificate",
                "elasticloadbalancing:DescribeListeners",
                "elasticloadbalancing:DescribeListenerCertificates",
            },
        ),
        ("dns", {"route53:ListResourceRecordSets", "elasticloadbalancing:DescribeLoadBalancers"}),
        ("change_window", {"ssm:GetCalendarState"}),
    ],
)
def test_gate_that_is_off_takes_its_rights_along(gate: str, gone: set[str]) -> None:
    settings = shipped()
    assert settings.gates is not None
    off = settings.model_copy(update={"gates": settings.gates.model_copy(update={gate: "off"})})
    assert actions(settings) - actions(off) == gone


def test_images_are_looked_up_in_their_repository(tmp_path: Path) -> None:
    location = "s3://receipt-vault-production-releases/{version}.tar.gz"
    settings = load_edited(tmp_path, replacing(location, "ecr://receipt-vault/api:{version}"))
    (permission,) = [each for each in READ_GATED_COMMITS if each.actions == ("ecr:DescribeImages",)]
    (statement,) = permission.statements(settings)
    assert statement.resources == ["arn:aws:ecr:eu-west-1:111122223333:repository/receipt-vault/api"]
    assert "s3:GetObject" not in actions(settings)
