"""
The fleet that moto's autoscaling only counts: every instance of an Auto Scaling group is an application that runs.

moto decides which instances there are. After every call that may have changed that, `reconcile` starts an application
for each new instance, and takes each one that left out of its target groups, drains it and stops its application.
A dead application is not replaced: that is what the Auto Scaling group's health check type EC2 means.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from moto.autoscaling.models import AutoScalingBackend, FakeAutoScalingGroup, autoscaling_backends
from moto.ec2.models.instances import Instance
from moto.elbv2.models import elbv2_backends

from rehearsal.clock import Clock
from rehearsal.engine.calls import Call
from rehearsal.world import instance_refresh, launch_templates
from rehearsal.world.application import Behaviour, Identity, Services
from rehearsal.world.application_process import RunningApplication, StartApplication, start_process
from rehearsal.world.instance_refresh import InstanceRefreshes
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.network import Addresses
from rehearsal.world.overlay import Overlay

UNKNOWN = "unknown"
_LONGEST_BOOT_WALL_SECONDS = 10.0


@dataclass(frozen=True)
class RunningInstance:
    """An instance and its application; version is the tag `runback:version` that it was launched with."""

    instance_id: str
    group: str
    color: str
    version: str
    port: int
    application: RunningApplication


class Fleet:
    """
    All Auto Scaling groups of one account and region.

    colors: Auto Scaling group name → color, behaviours: version → how it behaves (unnamed ones: well).
    environments: Auto Scaling group name → environment, for those that are not of the one that is rehearsed.
    services: asked, with the environment, whenever an application starts, as a real one reads its connection strings
    then.
    log_directory: each instance has its own log there; a process its request log, too, for a LogShipper.
    start: how an application is started, as a process or as a model.
    account_lock: the one that Calls holds during each call; whatever changes moto's backends outside of a call (an
    instance refresh) takes it, too.
    """

    def __init__(  # noqa: PLR0913  what a fleet stands on, and five settings
        self,
        clock: Clock,
        network: Addresses,
        load_balancer: LoadBalancer,
        account: str,
        region: str,
        *,
        account_lock: AbstractContextManager[Any],
        log_directory: Path,
        colors: Mapping[str, str],
        behaviours: Mapping[str, Behaviour] | None = None,
        services: Callable[[str], Services] = lambda _: Services(),
        environments: Mapping[str, str] | None = None,
        start: StartApplication = start_process,
        refresh_patience_seconds: float = instance_refresh.PATIENCE_SECONDS,
    ) -> None:
        self._clock = clock
        self._network = network
        self._load_balancer = load_balancer
        self._account, self._region = account, region
        self._account_lock = account_lock
        self._log_directory = log_directory
        self._start_application = start
        self._colors = colors
        self._behaviours = dict(behaviours or {})
        self._services = services
        self._environments = environments or {}
        self._overlay = Overlay()
        self._running: dict[str, RunningInstance] = {}
        self._leaving: dict[str, RunningInstance] = {}
        self._ended = clock.event()
        self.refreshes = InstanceRefreshes(clock, self, refresh_patience_seconds)

    # -- the overlay

    def install(self) -> None:
        """Teach moto launch template versions and instance refreshes."""
        launch_templates.install(self._overlay)
        instance_refresh.install(self._overlay, self.refreshes)

    def uninstall(self) -> None:
        """End all refreshes and all applications."""
        self._overlay.uninstall()
        self._ended.set()
        self.refreshes.end()
        with self._account_lock:
            remaining = [*self._running.values(), *self._leaving.values()]
            self._running.clear()
        for instance in remaining:
            instance.application.begin_to_stop()
        for instance in remaining:
            instance.application.stop()
            self._network.release(instance.instance_id)

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def observe(self, call: Call) -> None:
        """To be added to Calls, before the load balancer's: its targets' ports are known here."""
        if call.service in {"autoscaling", "ec2"} and call.mutating:
            self.reconcile()

    def reconcile(self) -> None:
        """Make applications and targets match moto's Auto Scaling groups."""
        with self._account_lock:
            wanted = {
                state.instance.id: (group, state.instance)
                for group in self.backend.autoscaling_groups.values()
                for state in group.instance_states
                if state.instance.state == "running"
            }
            left = [running for instance_id, running in self._running.items() if instance_id not in wanted]
            for instance_id, (group, instance) in wanted.items():
                if instance_id not in self._running:
                    self._running[instance_id] = self._start(group, instance)
            self._deregister({each.instance_id for each in left})
            self._load_balancer.refresh()
            for each in left:
                self._begin_to_retire(each)

    # -- what others may ask

    @property
    def backend(self) -> AutoScalingBackend:
        """The groups as moto keeps them; read and changed under the account's lock."""
        return autoscaling_backends[self._account][self._region]

    @property
    def account_lock(self) -> AbstractContextManager[Any]:
        """To be held over steps that must look like one call."""
        return self._account_lock

    def instances(self, group_name: str | None = None) -> list[RunningInstance]:
        """Of one group, or all; not those that are leaving."""
        running = list(self._running.values())
        return [instance for instance in running if group_name in (None, instance.group)]

    def is_ready(self, instance_id: str) -> bool:
        """Whether the application accepts connections and is healthy in all of its target groups that are in use."""
        instance = self._running.get(instance_id)
        if instance is None or not instance.application.is_running():
            return False
        attached = self.backend.autoscaling_groups[instance.group].target_group_arns
        in_use = [arn for arn in attached if self._load_balancer.in_use(arn)]
        return self._network.answers(instance_id) and all(
            self._load_balancer.health(arn, instance_id).state == "healthy" for arn in in_use
        )

    def behaviour(self, version: str) -> Behaviour:
        """Return how a version behaves now."""
        return self._behaviours.get(version, Behaviour())

    def behave(self, version: str, behaviour: Behaviour) -> None:
        """Let a version behave otherwise from now on: on the instances that run it, and on those that will."""
        with self._account_lock:
            self._behaviours[version] = behaviour
            for instance in self._running.values():
                if instance.version == version and instance.application.is_running():
                    instance.application.behave(behaviour)

    def launch(self, group: FakeAutoScalingGroup, count: int) -> list[str]:
        """Launch instances as the group's launch template now says, and register them. Returns their ids."""
        with self._account_lock:
            before = {state.instance.id for state in group.instance_states}
            if count > 0:
                group.replace_autoscaling_group_instances(count, group.get_propagated_tags())
                self.backend.update_attached_target_groups(group.name)
                self.reconcile()
            return [state.instance.id for state in group.instance_states if state.instance.id not in before]

    def terminate(self, group: FakeAutoScalingGroup, instance_ids: Sequence[str]) -> None:
        """Terminate instances of the group without any change of its capacity."""
        with self._account_lock:
            leaving = [state for state in group.instance_states if state.instance.id in instance_ids]
            group.instance_states = [state for state in group.instance_states if state not in leaving]
            if leaving:
                self.backend.ec2_backend.terminate_instances([state.instance.id for state in leaving])
                self.reconcile()

    # -- applications

    def _start(self, group: FakeAutoScalingGroup, instance: Instance) -> RunningInstance:
        instance.launch_time = self._clock.now().replace(microsecond=0)  # as AWS tells it; moto's is of another clock
        version = launch_templates.tags_of(instance).get(launch_templates.VERSION_TAG, UNKNOWN)
        color = self._colors.get(group.name, UNKNOWN)
        port = self._network.reserve(instance.id)
        environment = self._environments.get(group.name, "")
        identity = Identity(version, color, instance.id, environment)
        behaviour, services = self.behaviour(version), self._services(environment)
        application = self._start_application(port, identity, behaviour, services, self._log_directory)
        started = RunningInstance(instance.id, group.name, color, version, port, application)
        if not self._network.answers(instance.id):
            self._clock.thread(self._boot, (started,), name=f"boot-{instance.id}", daemon=True).start()
        return started

    def _boot(self, instance: RunningInstance) -> None:
        """Keep the clock at real speed while the application starts: that takes real time, as a handler's work does."""
        given_up = time.monotonic() + _LONGEST_BOOT_WALL_SECONDS
        with self._clock.at_real_speed():
            while not self._network.answers(instance.instance_id):
                if not instance.application.is_running() or time.monotonic() > given_up or self._ended.wait(0.01):
                    return

    def _deregister(self, instance_ids: set[str]) -> None:
        """Moto leaves terminated instances in their target groups when a group scales in."""
        for target_group in elbv2_backends[self._account][self._region].target_groups.values():
            if leaving := [{"Id": each} for each in target_group.targets if each in instance_ids]:
                target_group.deregister(leaving)

    def _begin_to_retire(self, instance: RunningInstance) -> None:
        self._leaving[instance.instance_id] = self._running.pop(instance.instance_id)
        name = f"retire-{instance.instance_id}"
        self._clock.thread(self._retire, (instance,), name=name, daemon=True).start()

    def _retire(self, instance: RunningInstance) -> None:
        """Stop an application once nobody waits for its answer."""
        while not self._load_balancer.may_stop(instance.instance_id):
            if self._ended.wait(1.0):
                return
        instance.application.stop()
        self._network.release(instance.instance_id)
        self._leaving.pop(instance.instance_id, None)
