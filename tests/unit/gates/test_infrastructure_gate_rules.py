"""What the environment stands on, and what is not good enough to release onto."""

import pytest

from lambdas.gates.gate_rules import DnsRecord
from lambdas.gates.infrastructure_gate_rules import (
    Backup,
    Certificate,
    Distribution,
    RecordSet,
    look_at_alarms,
    look_at_backups,
    look_at_certificates,
    look_at_distributions,
    look_at_dns,
    look_at_records,
)
from lambdas.judge.alarm_rules import Alarm, AlarmName, AlarmState, Effect
from lambdas.release.request_rules import GateStatus

PASSED, FAILED, PENDING, ERROR = GateStatus.PASSED, GateStatus.FAILED, GateStatus.PENDING, GateStatus.ERROR
NOW = "2026-03-01T10:00:00.000Z"


@pytest.mark.parametrize(
    ("taken_at", "status"),
    [
        ("2026-03-01T09:00:00+00:00", PASSED),
        ("2026-02-28T08:00:00+00:00", PASSED),
        ("2026-02-28T07:59:00+00:00", FAILED),
    ],
)
def test_backup_is_young_enough(taken_at: str, status: GateStatus) -> None:
    assert look_at_backups("db", [Backup("rds:db-1", taken_at)], "", 26, NOW).status is status


def test_latest_backup_counts() -> None:
    backups = [Backup("new", "2026-03-01T09:00:00Z"), Backup("old", "2025-03-01T09:00:00Z")]
    for each in (backups, backups[::-1]):
        assert "new, is 1.0 hours old" in look_at_backups("db", each, "", 26, NOW).detail


def test_without_a_backup_nothing_is_released() -> None:
    assert look_at_backups("db", [], "2026-03-01T09:55:00Z", 26, NOW).status is FAILED


ERRORS = AlarmName(Effect.ROLLS_BACK, "error-rate-api", "green")
NAME = ERRORS.full("receipts-test")


def test_alarm_that_is_on_refuses_unless_there_is_a_reason() -> None:
    on = [Alarm(ERRORS, is_on=True, since=NOW)]
    states = {NAME: AlarmState("ALARM", "notBreaching", acts=True)}
    assert look_at_alarms(on, "receipts-test", states, "").status is FAILED
    despite = look_at_alarms(on, "receipts-test", states, "it mends that")
    assert despite.status is PASSED
    assert "it mends that" in despite.detail


def test_alarm_that_cannot_turn_on_refuses_whatever_the_reason() -> None:
    silent = {NAME: AlarmState("INSUFFICIENT_DATA", "breaching", acts=True)}
    off = [Alarm(ERRORS, is_on=False, since=NOW)]
    assert look_at_alarms(off, "receipts-test", silent, "because").status is FAILED


def test_alarm_without_traffic_can_turn_on() -> None:
    quiet = {NAME: AlarmState("INSUFFICIENT_DATA", "notBreaching", acts=True)}
    assert look_at_alarms([Alarm(ERRORS, is_on=False, since=NOW)], "receipts-test", quiet, "").status is PASSED


def certificate(ends_at: str = "2026-06-01T00:00:00Z", status: str = "ISSUED") -> Certificate:
    return Certificate("arn:aws:acm:eu-west-1:123456789012:certificate/1", status, "api.receipts.example", ends_at)


@pytest.mark.parametrize(
    ("ends_at", "status"),
    [
        ("2026-06-01T00:00:00Z", PASSED),
        ("2026-03-22T10:00:00Z", PASSED),
        ("2026-03-22T09:59:59Z", FAILED),
        ("2026-02-01T00:00:00Z", FAILED),
    ],
)
def test_certificate_is_good_for_some_weeks(ends_at: str, status: GateStatus) -> None:
    assert look_at_certificates([], [certificate(ends_at)], 21, NOW).status is status


@pytest.mark.parametrize("status", ["EXPIRED", "REVOKED", "PENDING_VALIDATION", "INACTIVE", "FAILED"])
def test_certificate_that_acm_does_not_vouch_for_refuses(status: str) -> None:
    assert look_at_certificates([], [certificate(), certificate(status=status)], 21, NOW).status is FAILED


def test_certificate_that_ends_first_counts() -> None:
    soon = certificate("2026-03-10T00:00:00Z")
    for each in ([soon, certificate()], [certificate(), soon]):
        assert look_at_certificates([], each, 21, NOW).status is FAILED


def test_listener_without_a_certificate_refuses() -> None:
    assert look_at_certificates(["arn:listener"], [certificate()], 21, NOW).status is FAILED


BALANCER = "receipts-123.eu-west-1.elb.amazonaws.com"
RECORD = DnsRecord("Z1", "api.receipts.example")


@pytest.mark.parametrize(
    "target", [BALANCER, f"dualstack.{BALANCER}.", "Receipts-123.eu-west-1.elb.amazonaws.com.", f"{BALANCER}."]
)
def test_name_leads_to_the_load_balancer_however_that_is_written(target: str) -> None:
    assert look_at_records(RECORD, [RecordSet("A", (target,)), RecordSet("TXT", ("hello",))], [BALANCER]) == ""


def test_name_that_leads_elsewhere_is_told_with_where_it_has_to_lead() -> None:
    problem = look_at_records(RECORD, [RecordSet("A", (BALANCER,)), RecordSet("AAAA", ("old.example",))], [BALANCER])
    assert "old.example" in problem
    assert BALANCER in problem
    assert look_at_dns(["", problem], 2).status is FAILED


def test_name_without_a_record_is_told() -> None:
    assert "no record" in look_at_records(RECORD, [RecordSet("TXT", ("hello",))], [BALANCER])
    assert look_at_dns(["", ""], 2).status is PASSED


def test_distribution_is_waited_for_while_it_is_deployed() -> None:
    there = Distribution("E1", "Deployed", enabled=True, domain="d1.cloudfront.net")
    busy = Distribution("E2", "InProgress", enabled=True, domain="d2.cloudfront.net")
    off = Distribution("E3", "Deployed", enabled=False, domain="d3.cloudfront.net")
    assert look_at_distributions([there]).status is PASSED
    assert look_at_distributions([there, busy]).status is PENDING
    assert look_at_distributions([off, busy]).status is FAILED
    assert look_at_distributions([]).status is ERROR
