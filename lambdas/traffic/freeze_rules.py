"""What a freeze is, what it finds in its way, and what of it a thaw has to take away. All pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from lambdas.errors import FreezeRefused, ListenerDrifted
from lambdas.release.rules import Lease
from lambdas.traffic.rules import Route, is_rule

PRIORITY = 1
"""Reserved: no rule may come before that of a freeze."""

FREEZE_TAG, SERVICE_TAG, ENVIRONMENT_TAG = "runback:freeze", "runback:service", "runback:environment"

Condition = Mapping[str, Any]
"""One condition of a rule, as CreateRule takes it. A rule meets the requests that fulfil all of its conditions."""
EVERYTHING: tuple[Condition, ...] = ({"Field": "path-pattern", "PathPatternConfig": {"Values": ["*"]}},)

STATUS = "503"
CONTENT_TYPE = "text/plain"
BODY = "We are restoring this service. Please try again in a few minutes."
"""What users read meanwhile. AWS sends at most 1,024 characters, and no header that says when to try again."""


@dataclass(frozen=True)
class OfRestore:
    """For which restore of the database users are kept away, or let in again."""

    lease: Lease
    release_id: str
    restore_id: str
    now: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read {"lease", "release_id", "restore_id", "now"}."""
        return cls(Lease.from_event(event), event["release_id"], event["restore_id"], event["now"])


@dataclass(frozen=True)
class ListenerRule:
    """
    A rule of a listener, which is no default action. `tags` are empty until somebody asks for them.

    `answers`: the load balancer answers the requests that meet the `conditions` itself. `answers_everything`: and that
    is every request that reaches the rule.
    """

    arn: str
    priority: int
    answers_everything: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    answers: bool = False
    conditions: tuple[Condition, ...] = ()

    def hides(self, rules: Iterable["ListenerRule"]) -> bool:
        """Say whether no request reaches one of these rules, because each one that could is answered here."""
        same = (each for each in rules if each.arn != self.arn and each.conditions == self.conditions)
        return self.answers_everything or (self.answers and any(same))


@dataclass(frozen=True)
class Owner:
    """Whose a freeze is: other services and environments may share a load balancer with this one."""

    service: str
    environment: str

    def tags(self, restore_id: str) -> dict[str, str]:
        """Return what a rule carries that freezes for a restore."""
        return {FREEZE_TAG: restore_id, SERVICE_TAG: self.service, ENVIRONMENT_TAG: self.environment}

    def made(self, rule: ListenerRule) -> bool:
        """Say whether a rule is a freeze of this environment, for whichever restore."""
        return (
            FREEZE_TAG in rule.tags
            and rule.tags.get(SERVICE_TAG) == self.service
            and rule.tags.get(ENVIRONMENT_TAG) == self.environment
        )


def listener_of(arn: str) -> str:
    """
    Return the listener that a listener or a rule belongs to.

    A rule's ARN is its listener's with one more part: .../listener-rule/app/<name>/<load balancer>/<listener>/<rule>.
    """
    return arn.replace(":listener-rule/", ":listener/").rpartition("/")[0] if is_rule(arn) else arn


def live_listeners(routes: Sequence[Route]) -> list[str]:
    """
    Return the listeners through which users come, each once, however many routes it has.

    Raises FreezeRefused when tests come through one of them, too: a freeze would answer what is asked before a thaw.
    """
    live = {listener_of(route.arn) for route in routes}
    for route in routes:
        if listener_of(route.test_arn) in live:
            raise FreezeRefused(
                f"The test rule of route {route.name!r} stands on the listener {listener_of(route.test_arn)}, through"
                f" which users come. A freeze would stop the smoke checks as well: give tests a listener of their own."
            )
    return sorted(live)


def conditions_of_freeze(
    listener: str, routes: Sequence[Route], rules: Iterable[ListenerRule]
) -> tuple[Condition, ...]:
    """
    Return which requests a freeze has to answer on a listener: those of the one rule that is our only route there.

    So other services on the same listener go on. Where our route is the default action, or there are several, there is
    room for one rule only, and that answers everything.
    """
    ours = [route.arn for route in routes if listener_of(route.arn) == listener]
    if len(ours) > 1:
        return EVERYTHING
    return next((rule.conditions for rule in rules if [rule.arn] == ours and rule.conditions), EVERYTHING)


def is_frozen(listener: str, rules: Sequence[ListenerRule], owner: Owner) -> bool:
    """
    Say whether a freeze of this environment is in force on a listener.

    Raises FreezeRefused when something else is in the place that is reserved for it.
    """
    first = next((rule for rule in rules if rule.priority == PRIORITY), None)
    if first is None:
        return False
    if not owner.made(first):
        raise FreezeRefused(
            f"Rule {first.arn} has priority {PRIORITY} on listener {listener}, which is reserved for freezing traffic."
            f" Give that rule another priority. Nothing was changed."
        )
    if not first.hides(rules):
        raise FreezeRefused(
            f"Rule {first.arn} was made to freeze listener {listener}, and somebody has changed it: it lets requests"
            f" through. Delete that rule. Nothing was changed."
        )
    return True


def require_thawed(rules: Mapping[str, Sequence[ListenerRule]]) -> None:
    """
    Refuse to begin anything while no user reaches either color. `rules` are by listener.

    Raises ListenerDrifted that names the rule, whoever has made it.
    """
    for listener, found in rules.items():
        for rule in found:
            if rule.priority == PRIORITY and rule.hides(found):
                where = f"{'to' if rule.answers_everything else 'of a route on'} listener {listener}"
                raise ListenerDrifted(
                    f"No user reaches the application: rule {rule.arn} answers every request {where}."
                    f" If a restore of the database has left it behind, end that restore first, because users must not"
                    f" meet half of it; then delete the rule."
                )
