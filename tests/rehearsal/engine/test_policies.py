"""A policy allows what it says, and what is not understood allows nothing."""

from collections.abc import Mapping
from typing import Any

import pytest

from rehearsal.engine.needs import Need
from rehearsal.engine.policies import Principal, arn_matches, principals, read
from rehearsal.engine.template import Resource, Stack, UnsupportedTemplate

PLACE = "eu-west-1:111122223333"
LISTENER = f"arn:aws:elasticloadbalancing:{PLACE}:listener/app/main/1/2"
FUNCTION = f"arn:aws:lambda:{PLACE}:function:switch"
MODIFY = Need("elasticloadbalancing:ModifyListener", LISTENER)


def statement(**changes: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "elasticloadbalancing:ModifyListener", "Resource": LISTENER, **changes}


def refusal(need: Need, *statements: Mapping[str, Any], **context: str) -> str:
    """Ask a function with these statements."""
    named = {key.replace("__", ":"): value for key, value in context.items()}
    return Principal("switch", tuple(read("Policy", {"Statement": list(statements)})), FUNCTION).refusal(need, named)


def test_what_a_statement_names_is_allowed_and_nothing_else() -> None:
    assert "" == refusal(MODIFY, statement())
    assert "which its policy does not allow" == refusal(MODIFY)
    for other in (Need("elasticloadbalancing:ModifyRule", LISTENER), Need(MODIFY.action, LISTENER + "0"), Need("*")):
        assert "which its policy does not allow" == refusal(other, statement())


def test_actions_and_resources_may_be_lists_and_have_stars() -> None:
    assert "" == refusal(MODIFY, statement(Action=["sns:Publish", "elasticLoadBalancing:modify*"]))
    assert "" == refusal(MODIFY, statement(Resource=["arn:aws:sns:x", LISTENER[:-1] + "?"]))
    assert "" == refusal(MODIFY, statement(Resource="*"))


def test_an_action_without_resources_needs_a_policy_on_everything() -> None:
    need = Need("elasticloadbalancing:DescribeListeners")

    assert "" == refusal(need, statement(Action=need.action, Resource="*"))
    assert refusal(need, statement(Action=need.action))


def test_a_denial_outweighs_what_is_allowed() -> None:
    assert "which its policy denies" == refusal(MODIFY, statement(Resource="*"), statement(Effect="Deny"))


def test_an_id_that_nobody_knows_needs_a_policy_on_every_id() -> None:
    need = Need("ec2:CreateTags", f"arn:aws:ec2:{PLACE}:instance/*")

    assert "" == refusal(need, statement(Action=need.action, Resource=f"arn:aws:ec2:{PLACE}:instance/*"))
    assert refusal(need, statement(Action=need.action, Resource=f"arn:aws:ec2:{PLACE}:instance/i-1"))


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        ("arn:aws:rds:*:1:snapshot:a-*", "arn:aws:rds:eu-west-1:1:snapshot:a-7", True),
        ("arn:aws:rds:*:snapshot:a", "arn:aws:rds:eu-west-1:1:snapshot:a", False),
        ("arn:aws:lambda:r:1:function:f:*", "arn:aws:lambda:r:1:function:f:7", True),
        ("arn:aws:lambda:r:1:function:f:*", "arn:aws:lambda:r:1:function:f", False),
        ("arn:aws:lambda:r:1:function:f", "arn:aws:lambda:r:1:function:f:7", False),
        ("arn:aws:sns:r:1:a.b", "arn:aws:sns:r:1:axb", False),
    ],
)
def test_a_star_reaches_over_colons_only_within_the_resource(pattern: str, arn: str, *, matches: bool) -> None:
    assert matches == arn_matches(pattern, arn)


@pytest.mark.parametrize(
    ("condition", "key", "value", "holds"),
    [
        ({"StringEquals": {"aws:SourceVpce": "vpce-1"}}, "aws__SourceVpce", "vpce-1", True),
        ({"StringEquals": {"aws:SourceVpce": ["vpce-0", "vpce-1"]}}, "aws__SourceVpce", "vpce-1", True),
        ({"StringEquals": {"aws:SourceVpce": "vpce-1"}}, "aws__SourceVpce", "vpce-2", False),
        ({"StringEquals": {"aws:SourceVpce": "vpce-1"}}, "ec2__CreateAction", "vpce-1", False),
        (
            {"ArnEquals": {"ec2:LaunchTemplate": "arn:aws:ec2:r:1:t/*"}},
            "ec2__LaunchTemplate",
            "arn:aws:ec2:r:1:t/7",
            True,
        ),
        (
            {"ArnEquals": {"ec2:LaunchTemplate": "arn:aws:ec2:r:1:t/6"}},
            "ec2__LaunchTemplate",
            "arn:aws:ec2:r:1:t/7",
            False,
        ),
        (
            {"StringEquals": {"aws:SourceVpce": "vpce-1", "ec2:CreateAction": "RunInstances"}},
            "aws__SourceVpce",
            "vpce-1",
            False,
        ),
    ],
)
def test_every_condition_must_hold(condition: Any, key: str, value: str, *, holds: bool) -> None:
    assert holds is not refusal(MODIFY, statement(Condition=condition), **{key: value}).startswith("which")


def test_a_need_brings_what_is_known_of_its_resource() -> None:
    need = Need(MODIFY.action, LISTENER, {"iam:PassedToService": "ec2.amazonaws.com"})
    condition = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}

    assert "" == refusal(need, statement(Condition=condition))
    assert refusal(MODIFY, statement(Condition=condition))


def test_what_is_tagged_otherwise_is_not_meant() -> None:
    """Only the rules that were made to freeze may be deleted, and customers' rules stand beside them."""
    condition = {"StringEquals": {"aws:ResourceTag/made-by": "runback"}}

    for tags, is_allowed in (({"made-by": "runback"}, True), ({"made-by": "somebody"}, False), ({}, False)):
        need = Need(MODIFY.action, LISTENER, {f"aws:ResourceTag/{key}": value for key, value in tags.items()})
        assert is_allowed == (refusal(need, statement(Condition=condition)) == "")


def test_a_function_is_denied_what_only_lambda_may_do_for_it() -> None:
    """Lambda connects a function to its network with the function's own role."""
    of_the_code = statement(Effect="Deny", Condition={"ArnEquals": {"lambda:SourceFunctionArn": FUNCTION}})
    of_another = statement(Effect="Deny", Condition={"ArnEquals": {"lambda:SourceFunctionArn": FUNCTION + "-2"}})

    assert "which its policy denies" == refusal(MODIFY, statement(), of_the_code)
    assert "" == refusal(MODIFY, statement(), of_another)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Condition": {"StringLike": {"aws:SourceVpce": "*"}}}, "condition operator StringLike"),
        ({"Condition": {"StringEqualsIfExists": {"aws:SourceVpce": "*"}}}, "condition operator StringEqualsIfExists"),
        ({"Condition": {"StringEquals": {"aws:SourceIp": "::1"}}}, "condition key aws:SourceIp"),
        ({"NotAction": "*"}, r"\['NotAction'\]"),
        ({"Resource": "arn:aws:s3:::${aws:username}"}, "policy variables"),
        ({"Effect": "Perhaps"}, "the effect Perhaps"),
    ],
)
def test_what_is_not_known_is_refused_with_its_owner(changes: dict[str, Any], said: str) -> None:
    """Skipped, it would allow what AWS refuses."""
    with pytest.raises(UnsupportedTemplate, match=f"SwitchPolicy: .*{said}"):
        read("SwitchPolicy", {"Statement": [statement(**changes)]})


@pytest.mark.parametrize("name", ["ManagedPolicyArns", "PermissionsBoundary"])
def test_a_role_with_more_than_policies_of_its_own_is_refused(name: str) -> None:
    role = Resource(
        "Role", "AWS::IAM::Role", "role", {"Arn": "arn"}, {name: ["arn:aws:iam::aws:policy/AdministratorAccess"]}
    )

    with pytest.raises(UnsupportedTemplate, match=f"Role: the rehearsal judges no {name}"):
        principals(Stack("stack", "", {"Role": role}, {}))


def test_a_role_of_builds_is_judged_by_our_policies_alone() -> None:
    """What the customer's policies allow Terraform is no reason for us to be allowed anything."""
    trust = {"Statement": [{"Action": "sts:AssumeRole", "Principal": {"Service": "codebuild.amazonaws.com"}}]}
    properties = {"AssumeRolePolicyDocument": trust, "ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}
    role = Resource("Role", "AWS::IAM::Role", "role", {"Arn": "arn"}, properties)
    project = Resource("Plan", "AWS::CodeBuild::Project", "plan", {}, {"ServiceRole": "arn"})

    (principal,) = principals(Stack("stack", "", {"Role": role, "Plan": project}, {})).values()

    assert ("plan", ()) == (principal.name, principal.statements)
