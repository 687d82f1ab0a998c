"""What a freeze is, what it finds in its way, and what of it a thaw has to take away. All pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lambdas.errors import FreezeRefused, ListenerDrifted
from lambdas.traffic.rules import Route, is_rule

PRIORITY = 1
"""Reserved: no rule may come before that of a freeze."""

FREEZE_TAG, SERVICE_TAG, ENVIRONMENT_TAG = "runback:freeze", "runback:service", "runback:environment"

STATUS = "503"
CONTENT_TYPE = "text/plain"
BODY = "We are restoring this service. Please try again in a few minutes."
"""What users read meanwhile. AWS sends at most 1,024 characters, and no header that says when to try again."""


@dataclass(frozen=True)
class ListenerRule:
    """
    A rule of a listener, which is no default action. `tags` are empty until somebody asks for them.

    `answers_everything`: the load balancer answers every request that reaches the rule itself.
    """

    arn: str
    priority: int
    answers_everything: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


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


def is_frozen(listener: str, rules: Iterable[ListenerRule], owner: Owner) -> bool:
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
    if not first.answers_everything:
        raise FreezeRefused(
            f"Rule {first.arn} was made to freeze listener {listener}, and somebody has changed it: it lets requests"
            f" through. Delete that rule. Nothing was changed."
        )
    return True


def require_thawed(rules: Mapping[str, Iterable[ListenerRule]]) -> None:
    """
    Refuse to begin anything while no user reaches either color. `rules` are by listener.

    Raises ListenerDrifted that names the rule, whoever has made it.
    """
    for listener, found in rules.items():
        for rule in found:
            if rule.priority == PRIORITY and rule.answers_everything:
                raise ListenerDrifted(
                    f"No user reaches the application: rule {rule.arn} answers every request to listener {listener}."
                    f" If a restore of the database has left it behind, end that restore first, because users must not"
                    f" meet half of it; then delete the rule."
                )
