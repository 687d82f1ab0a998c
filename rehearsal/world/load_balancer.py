"""
The load balancer that moto's elbv2 only describes: real routing, target health by real checks, and AWS's strictness.

moto keeps the resources. After every call that may have changed them, `refresh` reads moto's backend and pushes what
it finds into the data plane before that call returns to its caller.
"""

import inspect
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

from moto.elbv2.exceptions import ELBClientError, RuleNotFoundError, TargetGroupNotFoundError
from moto.elbv2.models import (
    ELBv2Backend,
    FakeHealthStatus,
    FakeListener,
    FakeListenerRule,
    FakeTargetGroup,
    elbv2_backends,
)

from rehearsal.clock import Clock
from rehearsal.engine.calls import Call
from rehearsal.world import forwarding, health
from rehearsal.world.certificates import Certificate
from rehearsal.world.health import CheckSettings, HealthChecker, Probe, TargetHealth
from rehearsal.world.network import Addresses
from rehearsal.world.overlay import Overlay

_TAGGED_AT_ONCE = 20

Registration = tuple[str, str]
"""Target group ARN, instance id."""


class Plane(Protocol):
    """What routes requests as it was last told, be it a process or a model in this one."""

    def configure(self, configuration: Mapping[str, Any]) -> None:
        """Put a configuration, see Routing, in force."""
        ...

    def url(self, listener_arn: str) -> str:
        """Where a client on this machine reaches a listener."""
        ...

    def tls_port(self, listener_arn: str) -> int:
        """Where the listener speaks TLS on this machine. Raises KeyError for one that does not, or not yet."""
        ...

    def in_flight(self, instance_id: str) -> int:
        """Requests that a target was chosen for and that have no answer yet."""
        ...


class LoadBalancer:
    """
    All load balancers of one account and region.

    certificate: what every HTTPS listener presents. probe: how a target's health is checked.

    Locks: whoever calls `refresh` holds the account's lock (an observer of Calls does); our own lock is taken inside
    it and never the other way round.
    """

    def __init__(
        self,
        clock: Clock,
        network: Addresses,
        data_plane: Plane,
        account: str,
        region: str,
        certificate: Certificate | None = None,
        probe: Probe = health.check,
    ) -> None:
        self._clock = clock
        self._network = network
        self._data_plane = data_plane
        self._account, self._region = account, region
        self._certificate = certificate
        self._probe = probe
        self._overlay = Overlay()
        self._lock = threading.RLock()
        self._listeners: dict[str, list[dict[str, Any]]] = {}
        self._fronts: dict[str, dict[str, Any]] = {}
        self._registered: dict[str, set[str]] = {}
        self._checkers: dict[Registration, HealthChecker] = {}
        self._draining_until: dict[Registration, float] = {}

    # -- the overlay

    def install(self) -> None:
        """Validate as AWS does, and tell the health that was really found."""
        overlay = self._overlay
        overlay.replace(ELBv2Backend, "describe_target_health", self._describe_target_health)
        overlay.wrap(ELBv2Backend, "create_listener", _validating)
        overlay.wrap(ELBv2Backend, "modify_listener", _validating)
        overlay.wrap(ELBv2Backend, "create_rule", _validating)
        overlay.wrap(ELBv2Backend, "create_rule", _creating_rule)
        overlay.wrap(ELBv2Backend, "delete_rule", _deleting_rule)
        overlay.wrap(ELBv2Backend, "describe_tags", _describing_tags)
        overlay.wrap(ELBv2Backend, "modify_rule", _validating)

    def uninstall(self) -> None:
        """Stop all checks, too; the data plane is its owner's to stop."""
        self._overlay.uninstall()
        with self._lock:
            for checker in self._checkers.values():
                checker.stop()
            self._checkers.clear()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def observe(self, call: Call) -> None:
        """To be added to Calls: whatever changed the load balancer is in force when its call returns."""
        if call.service == "elbv2" and call.mutating:
            self.refresh()

    def refresh(self) -> None:
        """Put what moto's backend says now in force. Raises ChildFailed when the data plane is gone."""
        with self._lock:
            listeners = {listener.arn: listener for listener in self._moto_listeners()}
            self._listeners = {arn: forwarding.rules_of(listener) for arn, listener in listeners.items()}
            self._fronts = {arn: self._front(listener) for arn, listener in listeners.items()}
            self._registered = {arn: set(group.targets) for arn, group in self._backend.target_groups.items()}
            self._name_load_balancers(listeners)
            self._follow_registrations()
            self._push()

    # -- what others may ask

    def url(self, listener_arn: str) -> str:
        """Where a client on this machine reaches a listener."""
        return self._data_plane.url(listener_arn)

    def tls_port(self, listener_arn: str) -> int:
        """Where an HTTPS listener speaks TLS on this machine. Raises KeyError for one that does not."""
        return self._data_plane.tls_port(listener_arn)

    def forwards(self) -> dict[str, dict[str, int]]:
        """
        Listener ARN (its default action) or rule ARN → weight by target group ARN.

        A single target group has weight 1; an action that does not forward has no entry.
        """
        actions = [(listener.arn, listener.default_actions) for listener in self._moto_listeners()]
        actions += [(rule.arn, rule.actions) for rule in self._moto_rules()]
        by_owner = {arn: forwarding.weights(owned[0].data) for arn, owned in actions}
        return {arn: weights for arn, weights in by_owner.items() if weights}

    def rules(self) -> dict[str, dict[str, str]]:
        """Every rule of every listener but its default action: ARN → its tags."""
        tags = self._backend.tagging_service
        return {rule.arn: dict(tags.get_tag_dict_for_resource(rule.arn)) for rule in self._moto_rules()}

    def answers_itself(self, listener_arn: str) -> bool:
        """Whether the first rule of a listener lets no request through to any target."""
        with self._lock:
            first = self._listeners[listener_arn][0]
        matches_all = all(condition["values"] == ["*"] for condition in first["conditions"])
        return matches_all and "respond" in first["action"]

    def in_use(self, target_group_arn: str) -> bool:
        """Whether any listener or rule names the target group, with whatever weight."""
        with self._lock:
            return target_group_arn in self._named()

    def health(self, target_group_arn: str, instance_id: str) -> TargetHealth:
        """Of a target as of the last refresh."""
        with self._lock:
            registration = (target_group_arn, instance_id)
            if instance_id not in self._registered.get(target_group_arn, ()):
                is_draining = self._draining_until.get(registration, 0.0) > self._clock.seconds()
                return health.DRAINING if is_draining else health.NOT_REGISTERED
            checker = self._checkers.get(registration)
            return health.NOT_IN_USE if checker is None else checker.health

    def healthy_targets(self, target_group_arn: str) -> int:
        """How many registered targets passed their checks; 0 for a group that no listener names."""
        with self._lock:
            instances = self._registered.get(target_group_arn, set())
            return sum(self.health(target_group_arn, each).state == "healthy" for each in instances)

    def states(self, target_group_arn: str) -> Counter[str]:
        """How many registered targets are in which state; none of a group that no listener names."""
        with self._lock:
            if not self.in_use(target_group_arn):
                return Counter()
            instances = self._registered.get(target_group_arn, set())
            return Counter(self.health(target_group_arn, each).state for each in instances)

    def may_stop(self, instance_id: str) -> bool:
        """
        Whether a deregistered instance owes nobody an answer any more, or the deregistration delay is over.

        "If a deregistering target has no in-flight requests …, Elastic Load Balancing immediately completes the
        deregistration process, without waiting for the deregistration delay to elapse", though its state is shown as
        draining to the end.
        """
        if self._data_plane.in_flight(instance_id) == 0:
            return True
        with self._lock:
            delays = [until for (_, each), until in self._draining_until.items() if each == instance_id]
            return max(delays, default=0.0) <= self._clock.seconds()

    # -- ARNs of the settings

    def adopt_target_group(self, created_arn: str, wanted_arn: str) -> None:
        """
        Give a new target group the ARN that the settings name.

        ARNs end in random characters, so that moto can't create the one wanted. Raises ValueError when something
        refers to the created ARN already.
        """
        backend = self._backend
        if any(created_arn in weights for weights in self.forwards().values()):
            raise ValueError(f"{created_arn} is in use already: adopt target groups before their listeners")
        group = backend.target_groups.pop(created_arn)
        group.arn = wanted_arn
        backend.target_groups[wanted_arn] = group
        self._move_tags(created_arn, wanted_arn)
        self.refresh()

    def adopt_listener(self, created_arn: str, wanted_arn: str) -> None:
        """
        Give a new listener, and its load balancer with it, the ARN that the settings name.

        A load balancer's ARN is part of its listeners': all listeners of one must be adopted with the same.
        """
        listener = next(each for each in self._moto_listeners() if each.arn == created_arn)
        self._adopt_load_balancer(
            listener.load_balancer_arn, wanted_arn.replace(":listener/", ":loadbalancer/").rpartition("/")[0]
        )
        balancer = self._backend.load_balancers[listener.load_balancer_arn]
        balancer.listeners[wanted_arn] = balancer.listeners.pop(created_arn)
        listener.arn = wanted_arn
        default_rule = listener._default_rule[0]
        default_rule.listener_arn = wanted_arn
        default_rule.arn = wanted_arn.replace(":listener/", ":listener-rule/") + "/0"
        for rule in listener._non_default_rules.values():
            rule.listener_arn = wanted_arn
        self._move_tags(created_arn, wanted_arn)
        self.refresh()

    def adopt_rule(self, created_arn: str, wanted_arn: str) -> None:
        """Give a new rule the ARN that the settings name."""
        listener = next(each for each in self._moto_listeners() if created_arn in each._non_default_rules)
        rule = listener._non_default_rules.pop(created_arn)
        rule.arn = wanted_arn
        listener._non_default_rules[wanted_arn] = rule
        self._move_tags(created_arn, wanted_arn)
        self.refresh()

    def _adopt_load_balancer(self, created_arn: str, wanted_arn: str) -> None:
        if created_arn == wanted_arn:
            return
        balancer = self._backend.load_balancers.pop(created_arn)
        balancer.arn = wanted_arn
        self._backend.load_balancers[wanted_arn] = balancer
        for listener in balancer.listeners.values():
            listener.load_balancer_arn = wanted_arn
        self._move_tags(created_arn, wanted_arn)

    def _move_tags(self, created_arn: str, wanted_arn: str) -> None:
        tagging = self._backend.tagging_service
        tagging.copy_tags(created_arn, wanted_arn)
        tagging.delete_all_tags_for_resource(created_arn)

    # -- reading moto's backend

    @property
    def _backend(self) -> ELBv2Backend:
        return elbv2_backends[self._account][self._region]

    def _moto_listeners(self) -> Iterator[FakeListener]:
        for balancer in self._backend.load_balancers.values():
            yield from balancer.listeners.values()

    def _moto_rules(self) -> Iterator[FakeListenerRule]:
        for listener in self._moto_listeners():
            yield from listener._non_default_rules.values()

    def _name_load_balancers(self, listeners: dict[str, FakeListener]) -> None:
        """Correct each target group's LoadBalancerArns, which moto only ever extends, and not on ModifyListener."""
        for group in self._backend.target_groups.values():
            group.load_balancer_arns = sorted(
                {listeners[arn].load_balancer_arn for arn in self._listeners if group.arn in self._named([arn])}
            )

    def _named(self, listener_arns: Sequence[str] | None = None) -> set[str]:
        """Target groups that rules of these listeners, or of all, name."""
        rules = [rule for arn in listener_arns or self._listeners for rule in self._listeners[arn]]
        return {arn for rule in rules for arn, _ in rule["action"].get("forward", [])}

    # -- health and routing

    def _follow_registrations(self) -> None:
        """Check exactly the registered targets of target groups in use; those deregistered from one begin to drain."""
        in_use = self._named()
        wanted = {(group, instance) for group in in_use for instance in self._registered.get(group, ())}
        for registration in self._checkers.keys() - wanted:
            group, instance = registration
            self._checkers.pop(registration).stop()
            if group in in_use and instance not in self._registered.get(group, ()):
                self._draining_until[registration] = self._clock.seconds() + self._deregistration_delay(group)
        for registration in wanted - self._checkers.keys():
            self._draining_until.pop(registration, None)
            self._checkers[registration] = self._start_checker(*registration)
        for (group, _), checker in self._checkers.items():
            checker.apply(_check_settings(self._backend.target_groups[group]))

    def _start_checker(self, target_group_arn: str, instance_id: str) -> HealthChecker:
        settings = _check_settings(self._backend.target_groups[target_group_arn])
        return HealthChecker(
            self._clock, settings, lambda: self._network.port_of(instance_id), self._health_changed, self._probe
        )

    def _health_changed(self, checker: HealthChecker) -> None:
        with self._lock:
            if checker in self._checkers.values():
                self._push()

    def _deregistration_delay(self, target_group_arn: str) -> float:
        group = self._backend.target_groups.get(target_group_arn)
        return 0.0 if group is None else float(str(group.attributes["deregistration_delay.timeout_seconds"]))

    def _front(self, listener: FakeListener) -> dict[str, Any]:
        front = {"port": int(listener.port), "protocol": listener.protocol.lower()}
        if listener.protocol != "HTTPS" or self._certificate is None:
            return front
        return {**front, "certificate": str(self._certificate.chain_file), "key": str(self._certificate.key_file)}

    def _push(self) -> None:
        groups = {arn: self._targets(arn) for arn in self._named()}
        self._data_plane.configure({"listeners": self._listeners, "target_groups": groups, "fronts": self._fronts})

    def _targets(self, target_group_arn: str) -> list[dict[str, Any]]:
        ports = {instance: self._network.port_of(instance) for instance in self._registered.get(target_group_arn, ())}
        return [
            {
                "instance": instance,
                "port": port,
                "healthy": self.health(target_group_arn, instance).state == "healthy",
            }
            for instance, port in sorted(ports.items())
            if port is not None
        ]

    @property
    def _describe_target_health(self) -> Any:
        def describe_target_health(
            backend: ELBv2Backend, target_group_arn: str, targets: list[dict[str, Any]]
        ) -> list[FakeHealthStatus]:
            if target_group_arn not in backend.target_groups:
                raise TargetGroupNotFoundError
            asked = [each["Id"] for each in targets] or self._registered_or_draining(target_group_arn)
            return [self._health_status(backend.target_groups[target_group_arn], each) for each in asked]

        return describe_target_health

    def _registered_or_draining(self, target_group_arn: str) -> list[str]:
        with self._lock:
            now = self._clock.seconds()
            draining = {
                instance
                for (group, instance), until in self._draining_until.items()
                if group == target_group_arn and until > now
            }
            return sorted(self._registered.get(target_group_arn, set()) | draining)

    def _health_status(self, group: FakeTargetGroup, instance_id: str) -> Any:
        found = self.health(group.arn, instance_id)
        return FakeHealthStatus(instance_id, group.port, str(group.port), found.state, found.reason, found.description)


def _validating(original: Any, backend: ELBv2Backend, *args: Any, **kwargs: Any) -> Any:
    """Around a backend method that takes `actions`, and perhaps `conditions`."""
    given = inspect.signature(original).bind(backend, *args, **kwargs).arguments
    if actions := given["actions"]:
        forwarding.validate_actions(actions, backend.target_groups)
        for action in actions:
            action.update(forwarding.completed(action))
    forwarding.validate_conditions(given.get("conditions") or [])
    return original(backend, *args, **kwargs)


def _creating_rule(original: Any, backend: ELBv2Backend, **kwargs: Any) -> Any:
    """Around ELBv2Backend.create_rule, which knows neither limits nor an ARN of nothing."""
    listener_arn = kwargs["listener_arn"]
    for balancer in backend.load_balancers.values():
        if listener_arn in balancer.listeners:
            before = sum(len(listener._non_default_rules) for listener in balancer.listeners.values())
            tags = kwargs.get("tags") or []
            forwarding.validate_rule(int(kwargs["priority"]), kwargs["conditions"], tags, before)
    return original(backend, **kwargs)


def _deleting_rule(original: Any, backend: ELBv2Backend, arn: str) -> None:
    """Around ELBv2Backend.delete_rule: codes of the API reference, and a rule's tags go with it."""
    listeners = [each for balancer in backend.load_balancers.values() for each in balancer.listeners.values()]
    if any(arn == rule.arn for listener in listeners for rule in listener._default_rule.values()):
        raise ELBClientError("OperationNotPermitted", "Default rules cannot be deleted")
    if not any(arn in listener._non_default_rules for listener in listeners):
        raise RuleNotFoundError(f"The rule '{arn}' does not exist")
    original(backend, arn)
    backend.tagging_service.delete_all_tags_for_resource(arn)


def _describing_tags(original: Any, backend: ELBv2Backend, resource_arns: list[str]) -> Any:
    """Around ELBv2Backend.describe_tags, which tells of everything that it has no tags."""
    if len(resource_arns) > _TAGGED_AT_ONCE:
        raise ELBClientError("ValidationError", f"At most {_TAGGED_AT_ONCE} resources can be described at once")
    for arn in resource_arns:
        backend._get_resource_by_arn(arn)
    return original(backend, resource_arns)


def _check_settings(group: FakeTargetGroup) -> CheckSettings:
    return CheckSettings(
        path=group.health_check_path or "/",
        interval_seconds=float(group.health_check_interval_seconds),
        timeout_seconds=float(group.health_check_timeout_seconds),
        healthy_threshold=int(group.healthy_threshold_count),
        unhealthy_threshold=int(group.unhealthy_threshold_count),
        matcher=group.matcher["HttpCode"],
    )
