"""A freeze closes every listener through which users come, and a thaw takes away exactly that."""

from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from lambdas.errors import FreezeRefused, LeaseLost, ListenerDrifted
from lambdas.release.record import ReleaseRecord
from lambdas.release.rules import Lease, Phase, Work
from lambdas.traffic import freeze_traffic as freezing
from lambdas.traffic import thaw_traffic as thawing
from lambdas.traffic.freeze_rules import (
    EVERYTHING,
    ListenerRule,
    OfRestore,
    Owner,
    conditions_of_freeze,
    listener_of,
    require_thawed,
)
from lambdas.traffic.listeners import Listeners
from lambdas.traffic.rules import Route
from lambdas.traffic.settle import Watch, settle
from lambdas.traffic.switch_listener import Shift, switch_back
from tests.builders import DEPLOYMENT, ROLLBACK, at
from tests.fakes import LosesAnswers
from tests.unit.traffic.conftest import Account

CONTEXT: Any = SimpleNamespace(
    function_name="it", memory_limit_in_mb=512, invoked_function_arn="arn:of:it", aws_request_id="1"
)
RULE = (
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener-rule/app/receipts/50dc6c495c0c9188/f2f7dc8efc522ab2"
)
OWNER, OTHER = Owner("receipts", "test"), Owner("receipts", "production")


class Balancer:
    """What users and an operator see of the listeners of the account, to which a second live one belongs."""

    def __init__(self, account: Account) -> None:
        self.elbv2: Any = account.load_balancer.elbv2
        first = account.routes[0]
        balancer = self.elbv2.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"]
        action = {"Type": "forward", "TargetGroupArn": first.blue}
        made = [
            self.elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=[action])
            for port in (81, 8081)
        ]
        second, second_test = (each["Listeners"][0]["ListenerArn"] for each in made)
        self.routes = (*account.routes, Route("second", second, second_test, first.blue, first.green))
        self.live = sorted({listener_of(first.arn), second})
        self.tests = sorted({listener_of(route.test_arn) for route in self.routes})

    def rules(self, listener: str) -> list[dict[str, Any]]:
        found = self.elbv2.describe_rules(ListenerArn=listener)["Rules"]
        return [rule for rule in found if not rule["IsDefault"]]

    def first(self, listener: str) -> list[dict[str, Any]]:
        return [rule for rule in self.rules(listener) if rule["Priority"] == "1"]

    def answers_itself(self, listener: str) -> bool:
        return [rule["Actions"][0]["FixedResponseConfig"]["StatusCode"] for rule in self.first(listener)] == ["503"]

    def tags(self, rule: str) -> dict[str, str]:
        described = self.elbv2.describe_tags(ResourceArns=[rule])["TagDescriptions"][0]["Tags"]
        return {tag["Key"]: tag["Value"] for tag in described}

    def put(self, listener: str, priority: int, tags: dict[str, str]) -> str:
        made = self.elbv2.create_rule(
            ListenerArn=listener,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["*"]}}],
            Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}],
            Tags=[{"Key": key, "Value": value} for key, value in (tags or {"made": "by hand"}).items()],
        )
        return str(made["Rules"][0]["RuleArn"])

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        return {listener: self.rules(listener) for listener in (*self.live, *self.tests)}


@pytest.fixture
def balancer(account: Account, record: ReleaseRecord, monkeypatch: pytest.MonkeyPatch) -> Balancer:
    found = Balancer(account)
    for function in (freezing, thawing):
        monkeypatch.setattr(function, "record", record)
        monkeypatch.setattr(function, "listeners", Listeners(found.elbv2))
    return found


@pytest.fixture
def lease(record: ReleaseRecord) -> Lease:
    return record.claim(Work(), Work(holder=DEPLOYMENT, phase=Phase.PREPARING, release_id="new"))


def freeze(lease: Lease, balancer: Balancer, restore_id: str = "r-1") -> list[str]:
    wanted = OfRestore(lease, "new", restore_id, at(3))
    return freezing.freeze_traffic(wanted, OWNER, balancer.routes)


def thaw(lease: Lease, balancer: Balancer) -> int:
    return thawing.thaw_traffic(OfRestore(lease, "new", "r-1", at(9)), OWNER, balancer.routes)


def test_freeze_answers_every_user_and_no_test(lease: Lease, balancer: Balancer, account: Account) -> None:
    """Forwards stay as they are, or targets would not be health-checked any more."""
    rules = freeze(lease, balancer)
    assert [balancer.answers_itself(each) for each in balancer.live] == [True, True]
    assert not any(balancer.answers_itself(each) for each in balancer.tests)
    assert account.shown() == account.wanted("blue", 100)
    assert len(rules) == len(balancer.live)
    for rule in rules:
        expected = {"runback:freeze": "r-1", "runback:service": "receipts", "runback:environment": "test"}
        assert balancer.tags(rule) == expected


def test_other_services_on_a_shared_listener_are_not_frozen(lease: Lease, balancer: Balancer) -> None:
    """Where our route is a rule, only its requests are answered; a lost answer and a repetition are recognised."""
    shared, first = balancer.live[-1], balancer.routes[0]
    ours = {"Field": "host-header", "HostHeaderConfig": {"Values": ["receipts.example"]}}
    forward = [{"Type": "forward", "TargetGroupArn": first.blue}]
    rule = balancer.elbv2.create_rule(ListenerArn=shared, Priority=7, Conditions=[ours], Actions=forward)
    theirs = [{"Field": "host-header", "HostHeaderConfig": {"Values": ["others.example"]}}]
    balancer.elbv2.create_rule(ListenerArn=shared, Priority=8, Conditions=theirs, Actions=forward)
    route = Route("shared", rule["Rules"][0]["RuleArn"], first.test_arn, first.blue, first.green)
    balancer.routes = (route,)

    (made,) = freeze(lease, balancer)

    (frozen,) = balancer.first(shared)
    assert made == frozen["RuleArn"]
    assert [each["HostHeaderConfig"] for each in frozen["Conditions"]] == [{"Values": ["receipts.example"]}]
    assert balancer.answers_itself(shared)
    assert freeze(lease, balancer) == []
    (same,) = [each for each in freezing.listeners.tagged_rules(shared) if each.priority == 1]
    assert freezing.listeners.freeze(shared, OWNER.tags("r-1"), same.conditions) == made
    with pytest.raises(ListenerDrifted, match="every request of a route on"):
        require_thawed({shared: freezing.listeners.rules(shared)})
    assert thaw(lease, balancer) == 1
    require_thawed({shared: freezing.listeners.rules(shared)})


def test_several_routes_on_a_listener_are_frozen_with_all_of_it() -> None:
    """There is room for one rule before all others, and conditions of one rule cannot be those of two."""
    two = [Route(name, f"{RULE}/{name}", "test", "blue", "green") for name in ("a", "b")]
    rules = [ListenerRule(route.arn, 5, conditions=({"Field": "host-header"},)) for route in two]

    assert conditions_of_freeze(listener_of(RULE + "/a"), two, rules) == EVERYTHING
    assert conditions_of_freeze(listener_of(RULE + "/a"), two[:1], rules) == rules[0].conditions


def test_freeze_is_in_the_history_before_it_is_in_force(
    record: ReleaseRecord, lease: Lease, balancer: Balancer
) -> None:
    """Whoever finds users shut out must be able to read for what."""
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        freeze(lease, balancer)
    noted = record.release("new")["freeze"]
    assert noted == {"restore_id": "r-1", "at": at(3), "listeners": balancer.live}
    assert not any(balancer.first(each) for each in balancer.live)


def test_repeating_a_freeze_changes_nothing(lease: Lease, balancer: Balancer) -> None:
    freeze(lease, balancer)
    before = balancer.everything()
    assert freeze(lease, balancer) == []
    assert balancer.everything() == before


def test_freeze_that_broke_off_is_completed(lease: Lease, balancer: Balancer) -> None:
    first = balancer.put(balancer.live[0], 1, OWNER.tags("r-1"))
    made = freeze(lease, balancer)
    assert len(made) == 1
    assert [rule["RuleArn"] for rule in balancer.first(balancer.live[0])] == [first]
    assert balancer.answers_itself(balancer.live[1])


@pytest.mark.parametrize("place", [0, 1])
def test_place_that_somebody_else_has_taken_stops_the_freeze_before_it_begins(
    lease: Lease, balancer: Balancer, place: int
) -> None:
    """Half of a freeze is none, and a rule in front of users is not Runback's to move."""
    theirs = balancer.put(balancer.live[place], 1, {})
    before = balancer.everything()
    with pytest.raises(FreezeRefused, match=f"Rule {theirs} has priority 1"):
        freeze(lease, balancer)
    assert balancer.everything() == before


def test_rule_that_comes_between_look_and_freeze_is_not_taken_for_ours(
    lease: Lease, balancer: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Listeners):
        def freeze(self, listener: str, tags: Any, conditions: Any = EVERYTHING) -> str:
            balancer.put(listener, 1, {})
            return super().freeze(listener, tags, conditions)

    monkeypatch.setattr(freezing, "listeners", Late(balancer.elbv2))
    with pytest.raises(FreezeRefused, match=f"Listener {balancer.live[0]} cannot be frozen"):
        freeze(lease, balancer)


def test_freeze_that_somebody_has_narrowed_is_not_taken_for_one(lease: Lease, balancer: Balancer) -> None:
    (rule, *_) = freeze(lease, balancer)
    narrow = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/api/*"]}}]
    balancer.elbv2.modify_rule(RuleArn=rule, Conditions=narrow)
    with pytest.raises(FreezeRefused, match="lets requests through"):
        freeze(lease, balancer)


def test_rule_that_is_gone_already_is_no_failure() -> None:
    """Step Functions may deliver the same step twice, and an operator may have been faster."""
    elbv2 = boto3.client("elbv2")
    with Stubber(elbv2) as stub:
        stub.add_client_error("delete_rule", "RuleNotFound")
        Listeners(elbv2).delete("arn:gone")
        stub.add_client_error("delete_rule", "OperationNotPermitted")
        with pytest.raises(ClientError, match="OperationNotPermitted"):
            Listeners(elbv2).delete("arn:default")


def test_freeze_whose_answer_was_lost_is_recognised(
    lease: Lease, balancer: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Botocore sends a request again, and finds its own rule in the way."""
    monkeypatch.setattr(freezing, "listeners", Listeners(LosesAnswers(balancer.elbv2, "create_rule")))
    freeze(lease, balancer)
    assert [balancer.answers_itself(each) for each in balancer.live] == [True, True]


def test_thaw_lets_users_in_again(lease: Lease, balancer: Balancer) -> None:
    before = balancer.everything()
    freeze(lease, balancer)
    assert thaw(lease, balancer) == len(balancer.live)
    assert balancer.everything() == before
    assert thaw(lease, balancer) == 0


def test_thaw_takes_away_what_a_dead_restore_has_left(lease: Lease, balancer: Balancer) -> None:
    """Somebody may have moved it meanwhile: a rule is known by its tags alone."""
    balancer.put(balancer.live[0], 1, OWNER.tags("r-dead"))
    balancer.put(balancer.live[1], 7, OWNER.tags("r-moved"))
    assert thaw(lease, balancer) == 2
    left = [rule for listener in balancer.live for rule in balancer.rules(listener)]
    assert not any("runback:freeze" in balancer.tags(rule["RuleArn"]) for rule in left)


def test_thaw_leaves_every_other_rule(lease: Lease, balancer: Balancer) -> None:
    """Also the freeze of another environment that shares the load balancer."""
    freeze(lease, balancer)
    theirs = {balancer.put(balancer.live[0], 2, {}), balancer.put(balancer.live[0], 3, OTHER.tags("r-1"))}
    thaw(lease, balancer)
    kept = {rule["RuleArn"] for rule in balancer.rules(balancer.live[0]) if rule["Priority"] in "23"}
    assert theirs == kept


def test_thaw_finds_its_rule_among_very_many(lease: Lease, balancer: Balancer) -> None:
    """AWS tells rules by the page, and tags of 20 at a time."""
    for priority in range(20, 80):
        balancer.put(balancer.live[1], priority, {})
    freeze(lease, balancer)
    assert thaw(lease, balancer) == len(balancer.live)


def test_who_has_lost_the_environment_lets_nobody_in(record: ReleaseRecord, lease: Lease, balancer: Balancer) -> None:
    """The database behind a freeze may be half exchanged by now."""
    freeze(lease, balancer)
    record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK))
    with pytest.raises(LeaseLost):
        thaw(lease, balancer)
    assert [balancer.answers_itself(each) for each in balancer.live] == [True, True]


def test_rollback_under_a_freeze_moves_the_forward_and_leaves_the_freeze(
    record: ReleaseRecord, lease: Lease, balancer: Balancer, account: Account
) -> None:
    freeze(lease, balancer)
    frozen = [balancer.first(each) for each in balancer.live]
    taken = record.claim(record.read().work, Work(holder=ROLLBACK, phase=Phase.ROLLING_BACK, release_id="new"))
    back = Shift(taken, "new", "green", 100, 0, wanted_healthy=2, now=at(5), back=True)
    assert switch_back(back, account.routes, account.load_balancer, record)["changed"]
    assert settle(Watch(taken, "green", at(4), at(5)), account.routes, account.load_balancer, record)
    assert account.shown() == account.wanted("green", 100)
    assert [balancer.first(each) for each in balancer.live] == frozen


def test_an_account_without_a_freeze_is_only_read(lease: Lease, balancer: Balancer) -> None:
    before = balancer.everything()
    assert thaw(lease, balancer) == 0
    assert balancer.everything() == before


def test_events_are_read_and_answered_as_the_machine_has_them(
    lease: Lease, balancer: Balancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for function in (freezing, thawing):
        monkeypatch.setattr(function, "settings", function.Settings(OWNER, "unused", balancer.routes))
    event = {"lease": lease.as_event(), "release_id": "new", "restore_id": "r-1", "now": at(3)}
    answer = freezing.lambda_handler(event, CONTEXT)
    assert answer["frozen_at"] == at(3)
    assert len(answer["rules"]) == len(balancer.live)
    assert thawing.lambda_handler(event, CONTEXT) == {"thawed": len(balancer.live)}
