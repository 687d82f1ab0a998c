"""Runback itself: whether it is in the account, who hears from it, and who works there now."""

from collections.abc import Iterator

from cdk.setting_types import Place
from cdk.settings import EnvironmentSettings
from install.account import Account, NotThere
from install.findings import Finding, Level, attempt, note, ok, wrong
from install.lease import RecordUnreadable, describe, read_work

_SOUND = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
_TABLE_FIX = "allow dynamodb:BatchGetItem on the record's table"


def check_runback(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    """Look at the environment's stack, the subscriptions to its messages, and the lease."""
    yield from check_stack(settings, account)
    yield from _lease(settings, account)


def check_stack(settings: Place, account: Account) -> Iterator[Finding]:
    """Look at a stack of ours, and at the subscriptions to its messages."""
    yield from attempt("environment", _stack(settings, account), otherwise="deploy it")
    yield from attempt("notifications.emails", _subscriptions(settings, account), otherwise="deploy it")


def _stack(settings: Place, account: Account) -> Iterator[Finding]:
    name = f"Runback-{settings.prefix}"
    try:
        stack = account.read("cloudformation", "describe_stacks", StackName=name)["Stacks"][0]
    except NotThere:
        yield note("environment", f"{name} is not deployed yet", f"make deploy ENV={settings.environment}")
        return
    since = stack.get("LastUpdatedTime") or stack["CreationTime"]
    if stack["StackStatus"] in _SOUND:
        yield ok("environment", f"{name} is deployed, last changed {since:%Y-%m-%d %H:%M} UTC")
    else:
        yield wrong(
            "environment",
            f"{name} is {stack['StackStatus']}",
            "wait if something is in progress; otherwise read the stack's events in the CloudFormation console",
        )


def _subscriptions(settings: Place, account: Account) -> Iterator[Finding]:
    try:
        topic = settings.arn("sns", f"{settings.prefix}-notices")
        answer = account.read("sns", "list_subscriptions_by_topic", TopicArn=topic)
    except NotThere:
        return  # of a stack that is not deployed it has been said already
    confirmed = {each["Endpoint"] for each in answer["Subscriptions"] if each["SubscriptionArn"].startswith("arn:")}
    for email in settings.notifications.emails:
        if email in confirmed:
            yield ok("notifications.emails", f"{email} hears from Runback")
        else:
            yield wrong(
                "notifications.emails",
                f"{email} has not confirmed the subscription, and hears nothing",
                'follow the link in the e-mail "AWS Notification - Subscription Confirmation"',
            )


def _lease(settings: EnvironmentSettings, account: Account) -> Iterator[Finding]:
    try:
        work = read_work(settings, account)
    except RecordUnreadable as unreadable:
        yield Finding(Level.UNKNOWN, "environment", f"who works on it: {unreadable}", _TABLE_FIX)
        return
    if work is None:
        return
    if work.holder:
        yield note("environment", f"is held by {describe(work)}; until its end `make deploy` is refused")
    else:
        yield ok("environment", "is held by nobody")
