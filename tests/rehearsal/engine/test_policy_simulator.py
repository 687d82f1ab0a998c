"""IAM's policy simulator, as moto lacks it: by what roles may do now, and by nothing that is not understood."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rehearsal.engine.policies import Principal
from rehearsal.engine.policy_simulator import PolicySimulator, simulate

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ROLE = "arn:aws:iam::123456789012:role/settle"
ASKED = {
    "PolicySourceArn": ROLE,
    "ActionNames": ["sns:Publish", "s3:GetObject"],
    "ResourceArns": ["*", "arn:aws:sns:x"],
}


def document(*actions: str, resource: str = "*", **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def iam() -> Iterator[Any]:
    """Return a client of an account with one role, which may publish everywhere."""
    with mock_aws(), PolicySimulator():
        client = boto3.client("iam", region_name="eu-west-1")
        client.create_role(RoleName="settle", AssumeRolePolicyDocument=TRUST)
        client.put_role_policy(RoleName="settle", PolicyName="own", PolicyDocument=document("sns:Publish"))
        yield client


def decisions(iam: Any, **changes: Any) -> list[str]:
    results = iam.simulate_principal_policy(**{**ASKED, **changes})["EvaluationResults"]
    return [each["EvalDecision"] for each in results]


def test_every_action_is_judged_on_every_resource(iam: Any) -> None:
    results = iam.simulate_principal_policy(**ASKED)["EvaluationResults"]

    assert [
        ("sns:Publish", "*", "allowed"),
        ("sns:Publish", "arn:aws:sns:x", "allowed"),
        ("s3:GetObject", "*", "implicitDeny"),
        ("s3:GetObject", "arn:aws:sns:x", "implicitDeny"),
    ] == [(each["EvalActionName"], each["EvalResourceName"], each["EvalDecision"]) for each in results]


def test_what_is_taken_away_or_denied_is_so_at_once(iam: Any) -> None:
    """A judge that knew the template alone would certify what nobody may do any more."""
    iam.put_role_policy(RoleName="settle", PolicyName="no", PolicyDocument=document("sns:*", Effect="Deny"))
    assert ["explicitDeny"] * 2 == decisions(iam, ActionNames=["sns:Publish"])
    for name in ("no", "own"):
        iam.delete_role_policy(RoleName="settle", PolicyName=name)
    assert ["implicitDeny"] * 2 == decisions(iam, ActionNames=["sns:Publish"])


def test_policies_that_roles_share_count_in_their_present_version(iam: Any) -> None:
    """The CDK makes one of what is too long for a role's own."""
    made = iam.create_policy(PolicyName="shared", PolicyDocument=document("s3:PutObject"))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="settle", PolicyArn=made)
    assert ["implicitDeny"] == decisions(iam, ActionNames=["s3:GetObject"], ResourceArns=["*"])
    iam.create_policy_version(PolicyArn=made, PolicyDocument=document("s3:GetObject"), SetAsDefault=True)
    assert ["allowed"] == decisions(iam, ActionNames=["s3:GetObject"], ResourceArns=["*"])


def test_conditions_are_judged_by_the_context_that_is_given(iam: Any) -> None:
    tagging = document("ec2:CreateTags", Condition={"StringEquals": {"ec2:CreateAction": "RunInstances"}})
    iam.put_role_policy(RoleName="settle", PolicyName="tags", PolicyDocument=tagging)

    def asked(*contexts: str) -> list[str]:
        entries = [
            {"ContextKeyName": "ec2:CreateAction", "ContextKeyValues": [each], "ContextKeyType": "string"}
            for each in contexts
        ]
        return decisions(iam, ActionNames=["ec2:CreateTags"], ResourceArns=["*"], ContextEntries=entries)

    assert (["allowed"], ["implicitDeny"]) == (asked("RunInstances"), asked("CreateVolume"))
    assert ["implicitDeny"] == asked()


def test_answers_come_in_pages(iam: Any) -> None:
    pages = list(iam.get_paginator("simulate_principal_policy").paginate(**ASKED, PaginationConfig={"PageSize": 3}))

    assert [3, 1] == [len(page["EvaluationResults"]) for page in pages]
    assert [True, False] == [page["IsTruncated"] for page in pages]


def test_a_role_that_is_gone_is_an_error(iam: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        decisions(iam, PolicySourceArn=f"{ROLE}-two")


@pytest.mark.parametrize(
    "beyond",
    [
        {"ResourcePolicy": "{}"},
        {"ContextEntries": [{"ContextKeyName": "k", "ContextKeyValues": ["1"], "ContextKeyType": "numeric"}]},
    ],
)
def test_what_it_does_not_know_it_does_not_judge(beyond: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError, match="policy simulator does not know"):
        simulate(Principal(ROLE, ()), {**ASKED, **beyond})
