"""Whatever comes in whatever order, and however it fails: the protocol keeps what it promises."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.protocol.protocol import Protocol

QUICK = settings(
    max_examples=60,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_nobody_breaks_the_protocol() -> None:
    run_state_machine_as_test(Protocol, settings=QUICK)
