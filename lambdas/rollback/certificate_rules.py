"""
Whether the way back of a release is proven before the release begins. All pure.

A certificate lists, for everybody who takes part in a way back (its functions, its machine, the rules that start it),
what they will ask of AWS. It is made when Runback is built, from the same tables that their roles are made from, so
that whatever is missing later was taken away in the account. What an account has is read when a release asks, and
judged here: each check passed, failed, or could not be made, and only the first of these proves anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from json import loads
from typing import Any, Self

from lambdas.fleet.rules import Capacity
from lambdas.judge.alarm_rules import AlarmState
from lambdas.traffic.rules import Route

_LONGEST_EXPLANATION = 3000
"""Characters: what a message and the console show whole. The release's record has everything."""
_ALLOWED = "allowed"
_MOVING_VERSIONS = frozenset({"$Latest", "$Default"})
_DEPLOY_AGAIN = "Deploy Runback again: it makes anew what is missing."
_NO_MORE_LISTED = 12


class Outcome(StrEnum):
    """What a check has proven. `error`: it could not be made, which proves as little as `failed`."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """What one check found about `subject`, in a sentence, and what to do about it, empty where nothing must be."""

    subject: str
    outcome: Outcome
    says: str
    remedy: str = ""

    @property
    def passed(self) -> bool:
        """Say whether it proves what it was made for."""
        return self.outcome is Outcome.PASSED

    def as_record(self) -> dict[str, str]:
        """Return the form in which a release's history keeps it."""
        return {"subject": self.subject, "outcome": self.outcome.value, "says": self.says, "remedy": self.remedy}


@dataclass(frozen=True, order=True)
class Need:
    """One request to AWS as its policies see it: an action on an ARN, and what the request's context says."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_json(cls, given: Sequence[Any]) -> Self:
        """Read [action, resource, {context key: value}]."""
        action, resource, context = given
        return cls(action, resource, tuple(sorted(context.items())))

    def __str__(self) -> str:
        about = "".join(f" with {key} {value}" for key, value in self.context)
        return f"{self.action}{about}" if self.resource == "*" else f"{self.action} on {self.resource}{about}"


class Kind(StrEnum):
    """What acts under a role."""

    FUNCTION = "function"
    MACHINE = "machine"
    RULE = "rule"


@dataclass(frozen=True)
class Actor:
    """
    Who takes part in the way back, by its name in AWS, and all that it needs.

    `called`: the machine calls this function. `reserved` is the concurrency that is kept free for it.
    """

    name: str
    kind: Kind
    needs: tuple[Need, ...]
    called: bool = False
    reserved: int = 0


@dataclass(frozen=True)
class Starter:
    """An event rule or a schedule that starts the way back; `target` is the ARN, without version, of what it calls."""

    name: str
    target: str

    def calls(self, arn: str) -> bool:
        """Say whether an ARN is that of its target, or of one of its versions."""
        return arn == self.target or arn.startswith(f"{self.target}:")


@dataclass(frozen=True)
class Certificate:
    """
    What has to be proven of one machine's way back.

    `alarms` are those that must be there to be heard, and `telling` those of them that tell humans by an action.
    """

    machine: str
    actors: tuple[Actor, ...]
    starters: tuple[Starter, ...]
    alarms: frozenset[str]
    telling: frozenset[str]
    topic: str

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `cdk.certificate` wrote."""
        given = loads(text)
        return cls(
            machine=given["machine"],
            actors=tuple(
                Actor(
                    name=each["name"],
                    kind=Kind(each["kind"]),
                    needs=tuple(map(Need.from_json, each["needs"])),
                    called=each.get("called", False),
                    reserved=each.get("reserved", 0),
                )
                for each in given["actors"]
            ),
            starters=tuple(Starter(each["name"], each["target"]) for each in given["starters"]),
            alarms=frozenset(given["alarms"]),
            telling=frozenset(given["telling"]),
            topic=given["topic"],
        )

    def of_kind(self, kind: Kind) -> tuple[Actor, ...]:
        """Return those who act as functions, machines or rules."""
        return tuple(each for each in self.actors if each.kind is kind)


# -- rights


@dataclass(frozen=True)
class Question:
    """One request to the policy simulator, which judges every action on every resource, in one context."""

    needs: tuple[Need, ...]

    @property
    def actions(self) -> list[str]:
        """Return the actions, each once."""
        return sorted({each.action for each in self.needs})

    @property
    def resources(self) -> list[str]:
        """Return the resources, each once."""
        return sorted({each.resource for each in self.needs})

    @property
    def context(self) -> tuple[tuple[str, str], ...]:
        """Return what the context says in all of them."""
        return self.needs[0].context


def questions(needs: Iterable[Need]) -> list[Question]:
    """Ask as little as possible: one request for all needs that have the same context."""
    ordered = sorted(needs, key=lambda each: each.context)
    return [Question(tuple(same)) for _, same in groupby(ordered, key=lambda each: each.context)]


def check_rights(actor: Actor, decisions: Mapping[Need, str]) -> Finding:
    """Name every action that the simulator does not allow; one that it said nothing about is not proven either."""
    missing = [each for each in actor.needs if decisions.get(each) != _ALLOWED]
    subject = f"{actor.name}: rights"
    if not missing:
        return Finding(subject, Outcome.PASSED, f"{actor.name} may do all {len(actor.needs)} things that it does.")
    listed = ", ".join(str(each) for each in missing[:_NO_MORE_LISTED])
    more = f", and {len(missing) - _NO_MORE_LISTED} more" if len(missing) > _NO_MORE_LISTED else ""
    denied = any(decisions.get(each) == "explicitDeny" for each in missing)
    remedy = "Find out who denies it: a policy of the role, or of the organization." if denied else _DEPLOY_AGAIN
    return Finding(subject, Outcome.FAILED, f"{actor.name} may not {listed}{more}.", remedy)


_BESIDE_IDENTITY: Mapping[str, str] = {
    "dynamodb": "the resource policy and the key of the record's table",
    "kms": "the policies of the keys that encrypt databases and their snapshots",
    "logs": "the key of the application's log group",
    "secretsmanager": "the resource policies and the keys of the secrets",
    "s3": "the policies and the keys of the buckets for exports and plans",
    "sns": "the policy and the key of the topic",
    "ssm": "the keys of encrypted parameters",
    "iam": "the boundaries of what an instance's role may do",
}
"""What decides beside a role's policies, by the service of an action: the simulator does not look at it."""
_ALWAYS_UNPROVEN = (
    "whether checks reach their hosts over the network",
    "resources that have no name yet, for which an example was judged",
)


def unproven(certificate: Certificate) -> list[str]:
    """Name what no simulation shows, rather than pass it over."""
    services = {need.action.partition(":")[0] for actor in certificate.actors for need in actor.needs}
    return [text for service, text in _BESIDE_IDENTITY.items() if service in services] + list(_ALWAYS_UNPROVEN)


# -- state


def name_of_function(arn: str) -> str:
    """Return the name in the ARN of a function, or of one of its versions; of a machine, its name."""
    return arn.split(":")[6]


@dataclass(frozen=True)
class MachineState:
    """A state machine as AWS describes it. `calls` are function ARNs with their version, by the function's name."""

    status: str
    role: str
    calls: Mapping[str, str]


@dataclass(frozen=True)
class FunctionState:
    """A published version of a function. `reserved` is None where no concurrency is kept for the function."""

    state: str
    role: str
    reserved: int | None = None


@dataclass(frozen=True)
class RuleState:
    """An event rule: its state, and the role (or "") with which it calls each target, by the target's ARN."""

    state: str
    targets: Mapping[str, str]


def check_machine(name: str, found: MachineState, actors: Iterable[Actor]) -> Finding:
    """Take a machine for the certified one only if it calls exactly the functions that were certified."""
    called = {each.name for each in actors if each.called}
    problems = [f"is {found.status}"] if found.status != "ACTIVE" else []
    problems += [f"does not call {each}" for each in sorted(called - found.calls.keys())]
    problems += [f"calls {each}, which nobody has certified" for each in sorted(found.calls.keys() - called)]
    return told(name, problems, f"calls its {len(called)} functions", _DEPLOY_AGAIN)


def check_function(actor: Actor, found: FunctionState | None) -> Finding:
    """A version must be ready to be called, and have the concurrency that others cannot use up."""
    if found is None:
        return Finding(actor.name, Outcome.FAILED, f"{actor.name} does not exist.", _DEPLOY_AGAIN)
    problems = [f"is {found.state}"] if found.state != "Active" else []
    if (found.reserved or 0) < actor.reserved:
        has = "none" if found.reserved is None else found.reserved
        problems.append(f"has {has} of its {actor.reserved} reserved executions")
    elif found.reserved == 0:
        problems.append("is switched off by a reserved concurrency of 0")
    return told(actor.name, problems, "can be called", _DEPLOY_AGAIN)


def check_starter(starter: Starter, found: RuleState | None) -> Finding:
    """Without it nobody would start the way back, or nobody would look."""
    subject = f"rule {starter.name}"
    if found is None:
        return Finding(subject, Outcome.FAILED, f"Rule {starter.name} does not exist.", _DEPLOY_AGAIN)
    if not any(map(starter.calls, found.targets)):
        return told(subject, [f"does not start {starter.target}"], "", _DEPLOY_AGAIN)
    problems = [f"is {found.state}"] if found.state != "ENABLED" else []
    return told(subject, problems, "is on", f"Switch it on: aws events enable-rule --name {starter.name}.")


def check_alarms(certificate: Certificate, found: Mapping[str, AlarmState]) -> Finding:
    """
    Every alarm must be there and able to turn on.

    One that takes silence for a fault, and has not been evaluated yet, is as good as none; another without data has
    nothing to look at, such as the metrics of a color without instances.
    """
    problems = [f"{name} is missing" for name in sorted(certificate.alarms - found.keys())]
    for name in sorted(certificate.alarms & found.keys()):
        alarm = found[name]
        if alarm.state == "INSUFFICIENT_DATA" and alarm.missing == "breaching":
            problems.append(f"{name} was not evaluated yet")
        if name in certificate.telling and not alarm.acts:
            problems.append(f"{name} tells nobody")
    text = f"{len(certificate.alarms)} alarms are there and can turn on."
    if not problems:
        return Finding("alarms", Outcome.PASSED, text)
    remedy = "Deploy Runback again if one is missing or silent; otherwise wait until CloudWatch has looked at it."
    return Finding("alarms", Outcome.FAILED, f"Alarms: {'; '.join(problems)}.", remedy)


def check_topic(topic: str, confirmed: int) -> Finding:
    """A page that nobody gets is none."""
    problems = [] if confirmed else ["has no confirmed subscription"]
    remedy = "Let somebody confirm the mail of AWS Notifications, or subscribe an address that does."
    return told(f"topic {topic.rpartition(':')[2]}", problems, "reaches somebody", remedy)


def check_commands(name: str, value: str | None, *, first_release: bool) -> Finding:
    """The commands for humans are written before anything changes, and stay: whoever deletes them would do so again."""
    subject = f"parameter {name}"
    if value or first_release:
        text = "can be read." if value else "will be written before anything changes."
        return Finding(subject, Outcome.PASSED, f"Parameter {name} {text}")
    remedy = f"Find out who deletes it, then: aws ssm put-parameter --name {name} --type String --value none"
    return Finding(subject, Outcome.FAILED, f"Parameter {name} with the commands for humans is gone.", remedy)


def check_forwards(color: str, routes: Sequence[Route], forwards: Mapping[str, Mapping[str, int]]) -> Finding:
    """What is recorded as the way back must be what serves."""
    problems = [
        f"route {route.name} forwards {dict(forwards.get(route.arn, {}))}"
        for route in routes
        if dict(forwards.get(route.arn, {})) != route.weights(color, 100)
    ]
    remedy = "Put the listener back by hand: somebody else has moved it."
    return told(f"traffic on {color}", problems, "is as it was recorded", remedy)


def check_size(color: str, recorded: Capacity, found: Capacity, template_version: str) -> list[Finding]:
    """Say whether the way back is as large as recorded, and whether its next instance is like the others."""
    problems = (
        [f"has {found.desired} instances, and {recorded.desired} were recorded"]
        if found.desired < recorded.desired
        else []
    )
    moving = [f"launches from {template_version}"] if template_version in _MOVING_VERSIONS else []
    pin = (
        "Pin a number, and let Terraform ignore it: aws autoscaling update-auto-scaling-group --launch-template"
        " LaunchTemplateId=…,Version=<number>."
    )
    return [
        told(f"size of {color}", problems, "is as it was recorded", "Look who scales it in, and start again."),
        told(f"template of {color}", moving, "has a number", pin),
    ]


def check_health(color: str, recorded: Capacity, healthy: Mapping[str, int]) -> Finding:
    """With less healthy targets than it had it could not carry all the traffic. `healthy` is by route."""
    problems = [
        f"has {count} of {recorded.desired} healthy targets on route {route}"
        for route, count in healthy.items()
        if count < recorded.desired
    ]
    return told(f"health of {color}", problems, "is whole", "Look at the targets' health checks, and start again.")


def told(subject: str, problems: Sequence[str], well: str, remedy: str) -> Finding:
    """Return what a check says: all problems of its subject in one sentence, or that it is `well`."""
    name = subject[0].upper() + subject[1:] if " " in subject else subject
    if not problems:
        return Finding(subject, Outcome.PASSED, f"{name} {well}.")
    return Finding(subject, Outcome.FAILED, f"{name} {', and '.join(problems)}.", remedy)


def not_checked(subject: str, why: str) -> Finding:
    """Return what a check says that could not be made."""
    return Finding(subject, Outcome.ERROR, f"{subject} could not be checked ({why}).", "Remove that, and start again.")


# -- the whole


def verdict(findings: Iterable[Finding]) -> Outcome:
    """One that failed decides: trying again would not help."""
    outcomes = {each.outcome for each in findings}
    return next((each for each in (Outcome.FAILED, Outcome.ERROR) if each in outcomes), Outcome.PASSED)


def explain(findings: Sequence[Finding], about: str = "the way back") -> str:
    """
    Return everything that did not pass, in words; empty when all did. `about` is what was to be proven.

    What has the same remedy stands together. Where there is more than anybody reads, the rest is named at least.
    """
    against = sorted((each for each in findings if not each.passed), key=_remedy)
    if not against:
        return ""
    head = f"{len(against)} of {len(findings)} checks of {about} did not pass."
    texts = (f"{head}{_told_and_named(against, told)}" for told in range(len(against), -1, -1))
    return next((text for text in texts if len(text) <= _LONGEST_EXPLANATION), head)


def _told_and_named(against: Sequence[Finding], told: int) -> str:
    groups = groupby(against[:told], key=_remedy)
    words = [f" {' '.join(each.says for each in same)} {remedy}".rstrip() for remedy, same in groups]
    rest = [each.subject for each in against[told:]]
    more = f" And {len(rest)} more, which the release's record has: {', '.join(rest)}." if rest else ""
    return "".join(words) + more


def _remedy(finding: Finding) -> str:
    return finding.remedy


def as_record(findings: Sequence[Finding], beside: Sequence[str], now: str, *, enforced: bool) -> dict[str, Any]:
    """Return what the release's history keeps of the certificate: in full what did not pass, the rest by name."""
    return {
        "at": now,
        "enforced": enforced,
        "outcome": verdict(findings).value,
        "passed": [each.subject for each in findings if each.passed],
        "findings": [each.as_record() for each in findings if not each.passed],
        "unproven": list(beside),
    }
