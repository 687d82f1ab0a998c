from typing import Any

import pytest
from moto.elbv2.exceptions import ELBClientError

from rehearsal.world import forwarding

BLUE, GREEN = "arn:blue", "arn:green"


def forward_to(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": list(groups)}}


def sticky_forward(**stickiness: Any) -> dict[str, Any]:
    action = forward_to({"TargetGroupArn": BLUE, "Weight": 1}, {"TargetGroupArn": GREEN, "Weight": 0})
    action["ForwardConfig"]["TargetGroupStickinessConfig"] = stickiness
    return action


@pytest.mark.parametrize(
    ("action", "code"),
    [
        pytest.param(forward_to({"TargetGroupArn": BLUE, "Weight": 1000}), "ValidationError", id="weight over 999"),
        pytest.param(forward_to({"TargetGroupArn": BLUE, "Weight": -1}), "ValidationError", id="weight under 0"),
        pytest.param(forward_to({"TargetGroupArn": "arn:unknown"}), "TargetGroupNotFound", id="unknown group"),
        pytest.param(
            forward_to({"TargetGroupArn": BLUE}, {"TargetGroupArn": GREEN}), "ValidationError", id="no weight"
        ),
        pytest.param(
            forward_to(*[{"TargetGroupArn": BLUE, "Weight": 1}] * 2), "ValidationError", id="same group twice"
        ),
        pytest.param(forward_to(), "ValidationError", id="no group"),
        pytest.param(
            {**forward_to({"TargetGroupArn": BLUE, "Weight": 1}), "TargetGroupArn": GREEN},
            "ValidationError",
            id="two answers",
        ),
        pytest.param(
            forward_to(*[{"TargetGroupArn": f"{BLUE}{number}", "Weight": 1} for number in range(6)]),
            "ValidationError",
            id="six groups",
        ),
        pytest.param(
            {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "302"}}, "ValidationError", id="status"
        ),
        pytest.param(
            {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "MessageBody": "x" * 1025}},
            "ValidationError",
            id="body too long",
        ),
        pytest.param(
            {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503", "ContentType": "text/xml"}},
            "ValidationError",
            id="content type",
        ),
        pytest.param(sticky_forward(Enabled=True, DurationSeconds=0), "ValidationError", id="sticky for no time"),
        pytest.param(sticky_forward(Enabled=True, DurationSeconds=604801), "ValidationError", id="sticky for too long"),
        pytest.param(sticky_forward(Enabled=True), "ValidationError", id="sticky for how long"),
    ],
)
def test_an_action_that_aws_refuses_is_refused(action: dict[str, Any], code: str) -> None:
    """Moto accepts all of these on ModifyListener."""
    with pytest.raises(ELBClientError) as refused:
        forwarding.validate_actions([action], {BLUE, GREEN})
    assert code == refused.value.code


@pytest.mark.parametrize(
    "action",
    [
        {"Type": "forward", "TargetGroupArn": BLUE},
        forward_to({"TargetGroupArn": BLUE}),
        forward_to({"TargetGroupArn": BLUE, "Weight": 0}, {"TargetGroupArn": GREEN, "Weight": 999}),
        {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}},
        sticky_forward(Enabled=True, DurationSeconds=604800),
        sticky_forward(Enabled=False),
    ],
)
def test_an_action_that_aws_accepts_is_accepted(action: dict[str, Any]) -> None:
    forwarding.validate_actions([action], {BLUE, GREEN})


EVERYTHING = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["*"]}}
A_RULE: dict[str, Any] = {"priority": 1, "conditions": [EVERYTHING], "tags": [], "rules_before": 99}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"priority": 0}, "ValidationError", id="priority 0"),
        pytest.param({"priority": 50_001}, "ValidationError", id="priority over 50,000"),
        pytest.param({"conditions": []}, "ValidationError", id="no condition"),
        pytest.param({"conditions": [EVERYTHING] * 6}, "ValidationError", id="six values"),
        pytest.param(
            {"conditions": [{"Field": "path-pattern", "Values": ["/" * 129]}]}, "ValidationError", id="long value"
        ),
        pytest.param({"tags": [{"Key": "a", "Value": "1"}] * 2}, "DuplicateTagKeys", id="same tag twice"),
        pytest.param({"tags": [{"Key": str(n), "Value": ""} for n in range(51)]}, "TooManyTags", id="51 tags"),
        pytest.param({"rules_before": 100}, "TooManyRules", id="a hundred rules already"),
    ],
)
def test_a_rule_that_aws_refuses_is_refused(change: dict[str, Any], code: str) -> None:
    forwarding.validate_rule(**A_RULE)
    with pytest.raises(ELBClientError) as refused:
        forwarding.validate_rule(**A_RULE | change)
    assert code == refused.value.code


def test_what_is_not_rehearsed_is_said_not_ignored() -> None:
    """A rehearsal that silently ignores a condition would prove too much."""
    with pytest.raises(NotImplementedError, match="source-ip"):
        forwarding.validate_conditions([{"Field": "source-ip"}])


def test_stickiness_is_described_as_it_was_set() -> None:
    """Runback sends the complete action: what it reads has to hold what it must not lose."""
    stickiness = {"Enabled": True, "DurationSeconds": 600}
    described = forwarding.completed(sticky_forward(**stickiness))
    assert stickiness == described["ForwardConfig"]["TargetGroupStickinessConfig"]
    described = forwarding.completed({"Type": "forward", "TargetGroupArn": BLUE})
    assert {"Enabled": False} == described["ForwardConfig"]["TargetGroupStickinessConfig"]
