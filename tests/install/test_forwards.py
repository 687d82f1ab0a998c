"""Reading listeners and rules."""

import pytest

from install.checks.forwards import balancer_of, weights_of

PLACE = "arn:aws:elasticloadbalancing:eu-west-1:111122223333"
ONE, OTHER = f"{PLACE}:targetgroup/one/1", f"{PLACE}:targetgroup/other/2"


@pytest.mark.parametrize("kind", ["listener/app/web/50dc/f2f7", "listener-rule/app/web/50dc/f2f7/9683"])
def test_a_listener_and_a_rule_name_their_load_balancer(kind: str) -> None:
    assert f"{PLACE}:loadbalancer/app/web/50dc" == balancer_of(f"{PLACE}:{kind}")


@pytest.mark.parametrize(
    ("action", "weights"),
    [
        ({"Type": "forward", "TargetGroupArn": ONE}, {ONE: 1}),
        ({"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": ONE, "Weight": 0}]}}, {ONE: 1}),
        (
            {
                "Type": "forward",
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": ONE, "Weight": 0}, {"TargetGroupArn": OTHER, "Weight": 5}]
                },
            },
            {ONE: 0, OTHER: 5},
        ),
        ({"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}, {}),
    ],
)
def test_what_a_forward_says(action: dict[str, object], weights: dict[str, int]) -> None:
    """A group that is alone counts as all of it, whatever its weight, as the functions of a release read it too."""
    assert weights == weights_of([{"Type": "authenticate-oidc"}, action])
