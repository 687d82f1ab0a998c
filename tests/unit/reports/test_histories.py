"""What is read from Step Functions, page by page."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from lambdas.reports.histories import Histories
from tests.builders import DEPLOYMENT, OTHER_DEPLOYMENT
from tests.unit.reports.histories import FakeStepFunctions, promoted


def read(fake: Any, arn: str = DEPLOYMENT) -> list[int]:
    return [event["id"] for event in Histories(fake).events(arn)]


def test_every_event_of_every_page_is_read_once_in_order() -> None:
    played = promoted()
    fake = FakeStepFunctions([played], page=7)
    assert read(fake) == [event["id"] for event in played.events]
    assert len(fake.asked) == -(-len(played.events) // 7)


def test_pages_are_large_and_have_what_functions_were_given() -> None:
    fake = FakeStepFunctions([promoted()])
    read(fake)
    assert fake.asked == [{"executionArn": DEPLOYMENT, "maxResults": 1000, "includeExecutionData": True}]


def test_execution_that_aws_has_forgotten_has_no_events() -> None:
    assert read(FakeStepFunctions([promoted()]), OTHER_DEPLOYMENT) == []


def test_every_other_failure_is_passed_on() -> None:
    """A report of half the release would replace a good one."""

    class Throttled:
        def get_execution_history(self, **request: Any) -> None:
            raise ClientError(
                {"Error": {"Code": "ThrottlingException", "Message": str(request)}}, "GetExecutionHistory"
            )

    with pytest.raises(ClientError, match="ThrottlingException"):
        read(Throttled())
