"""Two ARNs that may be one human are taken for one; a role alone says nothing."""

import pytest

from lambdas.release.caller_rules import Caller, is_same_person, may_approve

SESSIONS = "arn:aws:sts::123456789012:assumed-role"
USER = "arn:aws:iam::123456789012:user/teams/jane"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{SESSIONS}/operator/jane", f"{SESSIONS}/operator/jane"),
        (f"{SESSIONS}/operator/jane", f"{SESSIONS}/approver/jane"),
        (f"{SESSIONS}/AWSReservedSSO_Ops_0a/jane@example.com", f"{SESSIONS}/AWSReservedSSO_Dba_1b/Jane@Example.com"),
        (USER, f"{SESSIONS}/approver/jane"),
        ("arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root"),
    ],
)
def test_one_human_is_found_in_whatever_role(one: str, other: str) -> None:
    """The console and IAM Identity Center name a session after its user."""
    assert is_same_person(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"{SESSIONS}/operator/jane", f"{SESSIONS}/operator/kim"),
        (USER, "arn:aws:iam::123456789012:user/teams/kim"),
        ("arn:aws:iam::123456789012:root", f"{SESSIONS}/approver/kim"),
    ],
)
def test_two_humans_in_one_role_are_two(one: str, other: str) -> None:
    assert not is_same_person(one, other)


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (f"{SESSIONS}/approver/kim", True),
        ("arn:aws:iam::123456789012:user/zoe", True),
        (f"{SESSIONS}/approvers/kim", False),
        (f"{SESSIONS}/operator/approver", False),
        ("arn:aws:sts::210987654321:assumed-role/approver/kim", False),
        ("arn:aws-cn:sts::123456789012:assumed-role/approver/kim", False),
        ("arn:aws:iam::123456789012:user/zoe/zoe", False),
        ("arn:aws:iam::123456789012:root", False),
        ("", False),
    ],
)
def test_an_approver_is_a_named_user_or_a_session_of_a_named_role(arn: str, *, expected: bool) -> None:
    """AWS leaves the path of a role out of its sessions' ARNs."""
    approvers = ("arn:aws:iam::123456789012:role/teams/approver", "arn:aws:iam::123456789012:user/zoe")
    assert may_approve(arn, approvers) is expected


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (Caller(f"{SESSIONS}/operator/jane", "now"), True),
        (Caller(f"{SESSIONS}/rollback/states", "now", "states.amazonaws.com"), False),
        (Caller("", "now", "events.amazonaws.com"), False),
        (Caller("", "now"), False),
        (Caller(f"{SESSIONS}/Runback-receipts-test-FunctionsWatchdogRole0A1B/receipts-test-watchdog", "now"), False),
    ],
)
def test_neither_a_service_nor_one_of_our_functions_is_a_human(caller: Caller, *, expected: bool) -> None:
    """A function's code signs with its role, and AWS names no service."""
    assert caller.is_human is expected
