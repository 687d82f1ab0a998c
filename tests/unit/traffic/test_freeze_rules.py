import pytest

from lambdas.errors import FreezeRefused, ListenerDrifted
from lambdas.traffic.freeze_rules import (
    BODY,
    ENVIRONMENT_TAG,
    FREEZE_TAG,
    SERVICE_TAG,
    ListenerRule,
    Owner,
    is_frozen,
    listener_of,
    live_listeners,
    require_thawed,
)
from lambdas.traffic.rules import Route
from tests.builders import BLUE, GREEN, LISTENER, TEST_LISTENER

OWNER = Owner("receipts", "test")
RULE = LISTENER.replace(":listener/", ":listener-rule/") + "/9683b2d02a6cabee"
TEST_RULE = TEST_LISTENER.replace(":listener/", ":listener-rule/") + "/1683b2d02a6cabee"
OURS = ListenerRule("arn:ours", 1, answers_everything=True, tags=OWNER.tags("r-1"))


def route(name: str, arn: str, test_arn: str) -> Route:
    return Route(name, arn, test_arn, BLUE, GREEN)


def test_listener_of_a_rule_is_the_one_it_stands_on() -> None:
    assert listener_of(RULE) == LISTENER
    assert listener_of(LISTENER) == LISTENER


def test_a_listener_with_several_routes_is_frozen_once() -> None:
    routes = [route("api", LISTENER, TEST_LISTENER), route("site", RULE, TEST_RULE)]
    assert live_listeners(routes) == [LISTENER]


def test_a_freeze_that_would_stop_the_smoke_checks_is_refused() -> None:
    """The restored application is asked through the test rule before any user is."""
    beside = LISTENER.replace(":listener/", ":listener-rule/") + "/0000000000000001"
    with pytest.raises(FreezeRefused, match="test rule of route 'api' stands on the listener"):
        live_listeners([route("api", LISTENER, beside)])


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {FREEZE_TAG: "r-1"},
        {SERVICE_TAG: "receipts", ENVIRONMENT_TAG: "test"},
        {**OURS.tags, ENVIRONMENT_TAG: "production"},
        {**OURS.tags, SERVICE_TAG: "orders"},
    ],
)
def test_a_rule_without_all_of_our_tags_is_somebody_elses(tags: dict[str, str]) -> None:
    theirs = ListenerRule("arn:theirs", 1, answers_everything=True, tags=tags)
    assert not OWNER.made(theirs)
    with pytest.raises(FreezeRefused, match="Rule arn:theirs has priority 1 on listener"):
        is_frozen(LISTENER, [theirs], OWNER)


def test_a_freeze_is_ours_for_whichever_restore() -> None:
    assert is_frozen(LISTENER, [OURS], Owner("receipts", "test"))
    assert not is_frozen(LISTENER, [], OWNER)


def test_rules_after_the_reserved_place_are_in_nobodys_way() -> None:
    assert not is_frozen(LISTENER, [ListenerRule("arn:theirs", 2), ListenerRule("arn:moved", 3, tags=OURS.tags)], OWNER)


def test_a_freeze_that_somebody_has_opened_is_none() -> None:
    """To take it for one would let users write into a database that is about to go."""
    with pytest.raises(FreezeRefused, match="lets requests through"):
        is_frozen(LISTENER, [ListenerRule("arn:opened", 1, answers_everything=False, tags=OURS.tags)], OWNER)


def test_whoever_answers_every_user_is_named() -> None:
    with pytest.raises(ListenerDrifted, match=f"rule arn:ours answers every request to listener {LISTENER}"):
        require_thawed({LISTENER: [OURS]})
    require_thawed({LISTENER: [ListenerRule("arn:a", 1), ListenerRule("arn:b", 2, answers_everything=True)]})


def test_what_users_read_is_short_enough_for_a_load_balancer() -> None:
    assert len(BODY) <= 1024
