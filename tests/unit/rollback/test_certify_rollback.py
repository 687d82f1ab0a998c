"""What a release does with its certificate: everything is looked at, written down, and then decided."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.errors import AwsCallFailed, LeaseLost, RollbackNotCertified
from lambdas.fleet.auto_scaling import GroupState
from lambdas.fleet.rules import Capacity
from lambdas.judge.alarm_rules import AlarmState
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from lambdas.rollback import certify_rollback as function
from lambdas.rollback.certificate_rules import FunctionState, MachineState, Need, Question, RuleState
from lambdas.traffic.rules import TargetHealth
from tests.builders import BLUE, DEPLOYMENT, GREEN, LISTENER, PARAMETERS, at

FULL = Capacity(minimum=2, maximum=4, desired=2)
CERTIFICATE = function.settings.certificate
SETTLE = "receipts-test-settle"
VERSION = "arn:aws:lambda:eu-west-1:123456789012:function:receipts-test-settle:7"
MISSING = Need("dynamodb:UpdateItem", "arn:aws:dynamodb:eu-west-1:123456789012:table/receipts-test-record")
CALLING = MachineState("ACTIVE", "machine", {SETTLE: VERSION})
CALLABLE = FunctionState("Active", "function", 2)
ON = RuleState("ENABLED", {CERTIFICATE.machine: "rule"})
NUMBERED = GroupState(FULL, "7")


def throttled() -> ClientError:
    return ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "SimulatePrincipalPolicy")


@dataclass
class Account:
    """Everything that a certificate looks at, in one, and well until a test takes something away."""

    machine: MachineState = CALLING
    function: FunctionState | None = CALLABLE
    rule_state: RuleState | None = ON
    refused: Need | None = None
    fails: ClientError | None = None
    failures: int = 0
    group: GroupState = NUMBERED
    weights: dict[str, int] = field(default_factory=lambda: {BLUE: 100})
    healthy: int = 2
    subscribed: int = 1
    silent: str = ""
    asked: list[str] = field(default_factory=list)

    def describe(self, name: str) -> Any:
        self.asked.append(name)
        if name == CERTIFICATE.machine:
            return self.machine
        return self.function if name == VERSION else self.group

    def rule(self, _: str) -> RuleState | None:
        return self.rule_state

    def decide(self, role: str, question: Question) -> dict[Need, str]:
        self.asked.append(role)
        if self.fails:
            self.failures += 1
            raise self.fails
        return {need: "implicitDeny" if need == self.refused else "allowed" for need in question.needs}

    def forwards(self, arns: Any) -> dict[str, dict[str, int]]:
        assert [LISTENER] == list(arns)
        return {LISTENER: self.weights}

    def health(self, _: str) -> TargetHealth:
        return TargetHealth(self.healthy, 0)

    def states(self) -> dict[str, AlarmState]:
        return {name: AlarmState("OK", "breaching", acts=True) for name in CERTIFICATE.alarms if name != self.silent}

    def confirmed(self, _: str) -> int:
        return self.subscribed


@pytest.fixture(autouse=True)
def account(record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return what the function finds."""
    found = Account()
    for name in (
        "alarms",
        "auto_scaling",
        "event_bus",
        "lambda_functions",
        "load_balancer",
        "machines",
        "simulator",
        "subscribers",
    ):
        monkeypatch.setattr(function, name, found)
    monkeypatch.setattr(function, "record", record)
    return found


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    """Return that of a deployment of "new", the first one of all, which goes back to blue."""
    held = record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))
    record.note_release("new", {"rollback_point": {"capacity": FULL.as_record()}})
    return held


def certify(lease: Lease) -> dict[str, Any]:
    event = {"lease": lease.as_event(), "release_id": "new", "active": "blue", "now": at(3)}
    answer: dict[str, Any] = function.lambda_handler.__wrapped__(event, None)
    return answer


def refusal(lease: Lease) -> str:
    with pytest.raises(RollbackNotCertified) as refused:
        certify(lease)
    return str(refused.value)


def test_a_release_whose_rollback_is_possible_goes_on(record: ReleaseRecord, lease: Lease) -> None:
    for _ in range(2):
        assert {"checks": 13, "concern": ""} == certify(lease)
    noted = record.release("new")["certificate"]
    assert ("passed", True, at(3)) == (noted["outcome"], noted["enforced"], noted["at"])
    assert 13 == len(noted["passed"])
    assert noted["unproven"]


def test_everybodys_role_is_the_one_that_is_found_on_the_way(account: Account, lease: Lease) -> None:
    """Not one that is named somewhere: a version has the role of its time."""
    certify(lease)
    assert {"machine", "function", "rule"} < set(account.asked)


TAKE_AWAY: list[tuple[Callable[[Account], Any], str]] = [
    (lambda account: setattr(account, "refused", MISSING), f"receipts-test-settle may not {MISSING}"),
    (lambda account: setattr(account, "machine", replace(account.machine, status="DELETING")), "is DELETING"),
    (lambda account: setattr(account, "function", None), "receipts-test-settle does not exist"),
    (lambda account: setattr(account, "rule_state", RuleState("DISABLED", {CERTIFICATE.machine: "rule"})), "DISABLED"),
    (lambda account: setattr(account, "rule_state", None), "Rule receipts-test-critical-alarm does not exist"),
    (
        lambda account: setattr(account, "rule_state", RuleState("ENABLED", {CERTIFICATE.machine: ""})),
        "receipts-test-critical-alarm may not states:StartExecution",
    ),
    (lambda account: setattr(account, "silent", "receipts-test-watchdog-silent"), "receipts-test-watchdog-silent is"),
    (lambda account: setattr(account, "subscribed", 0), "no confirmed subscription"),
    (lambda account: setattr(account, "weights", {BLUE: 90, GREEN: 10}), "route api forwards"),
    (lambda account: setattr(account, "group", GroupState(replace(FULL, desired=1), "7")), "has 1 instances"),
    (lambda account: setattr(account, "group", GroupState(FULL, "$Default")), "launches from $Default"),
    (lambda account: setattr(account, "healthy", 1), "1 of 2 healthy targets"),
]


@pytest.mark.parametrize(("take_away", "named"), TAKE_AWAY)
def test_whatever_is_missing_ends_the_release_and_is_named(
    record: ReleaseRecord, account: Account, lease: Lease, take_away: Callable[[Account], Any], named: str
) -> None:
    take_away(account)
    assert named in refusal(lease)
    noted = record.release("new")["certificate"]
    assert "failed" == noted["outcome"]
    assert any(named in each["says"] for each in noted["findings"])


def test_a_way_back_that_was_recorded_once_must_still_be_readable(record: ReleaseRecord, lease: Lease) -> None:
    """Before the first release of all nobody has written it."""
    assert "" == certify(lease)["concern"]
    name = PARAMETERS["way_back"]
    record.dynamodb.put_item(
        TableName=record.table,
        Item={
            key: {"S": value}
            for key, value in {
                "environment": record.environment,
                "item": "live",
                "release_id": "old",
                "version": "1111111",
                "color": "blue",
                "since": at(1),
            }.items()
        },
    )
    assert f"Parameter {name} with the commands for humans is gone" in refusal(lease)
    function.ssm.put_parameter(Name=name, Value="aws elbv2 …", Type="String")
    assert "" == certify(lease)["concern"]


def test_a_check_that_cannot_be_made_is_no_proof_and_may_be_tried_again(
    record: ReleaseRecord, account: Account, lease: Lease
) -> None:
    """And keeps no other check from being made."""
    account.fails = throttled()
    with pytest.raises(AwsCallFailed, match="SimulatePrincipalPolicy: Throttling: slow down"):
        certify(lease)
    assert 3 <= account.failures
    assert "error" == record.release("new")["certificate"]["outcome"]


def test_what_is_missing_decides_over_what_cannot_be_seen(account: Account, lease: Lease) -> None:
    """Trying again would not bring it back."""
    account.fails, account.subscribed = throttled(), 0
    said = refusal(lease)
    assert "no confirmed subscription" in said
    assert "slow down" in said


def test_where_settings_only_warn_the_release_goes_on_with_its_concern(
    record: ReleaseRecord, account: Account, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function, "settings", replace(function.settings, enforce=False))
    account.subscribed = 0
    concern = certify(lease)["concern"]
    assert concern.startswith("The release began without proof. 1 of 13 checks")
    assert "no confirmed subscription" in concern
    noted = record.release("new")["certificate"]
    assert ("failed", False) == (noted["outcome"], noted["enforced"])
    account.subscribed, account.fails = 1, throttled()
    assert "slow down" in certify(lease)["concern"]


def test_who_has_lost_the_lease_certifies_nothing(record: ReleaseRecord, account: Account, lease: Lease) -> None:
    record.claim(record.read().work, Work(holder="a rollback", phase=Phase.ROLLING_BACK, release_id="new"))
    with pytest.raises(LeaseLost):
        certify(lease)
    assert [] == account.asked
