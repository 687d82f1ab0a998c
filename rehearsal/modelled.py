"""Modelled staging: the same functions, but in this process, on models of everything that is a process otherwise."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import boto3
from moto.ec2.models import ec2_backends

from rehearsal.circumstances import Circumstances
from rehearsal.clock import Clock, TwoSpeedClock
from rehearsal.engine import shortcuts
from rehearsal.engine.calls import READS, Calls
from rehearsal.engine.in_process import InProcess
from rehearsal.engine.sandbox import Runtime
from rehearsal.engine.virtual import Chooser, VirtualTime
from rehearsal.model.applications import ModelApplications, ModelNetwork
from rehearsal.model.data_plane import ModelDataPlane
from rehearsal.model.health import probe_of
from rehearsal.model.redis import ModelCache
from rehearsal.model.request_logs import ModelRequestLogs
from rehearsal.model.servers import ModelServers, RealServers, Servers
from rehearsal.model.stores import SessionsInModel
from rehearsal.model.traffic import ModelTraffic
from rehearsal.settings import Settings
from rehearsal.staging import RUNTIME_DIR, VIRTUAL, Speeds
from rehearsal.world import certificates, customer
from rehearsal.world.customer import StorePorts, World
from rehearsal.world.database import Database
from rehearsal.world.fleet import Fleet
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.names import Names
from rehearsal.world.terraform_builds import building, terraform_of


class Modelled:
    """Everything that is a process or a socket otherwise is an object, on the clock that hurries while all wait."""

    requests_per_second = 1.0

    def __init__(self, speeds: Speeds | None = None, patience_seconds: float = 150.0, seed: int = 0) -> None:
        self.speeds = speeds or Speeds()
        self.patience_seconds = patience_seconds
        self.seed = seed

    def with_users(self, requests_per_second: float | None) -> Self:
        """Let users send so much; models are never in a hurry."""
        adapted = copy(self)
        adapted.requests_per_second = requests_per_second or self.requests_per_second
        return adapted

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """Begin a time that hurries while everything waits."""
        yield TwoSpeedClock(self.speeds.waiting)

    def begin(self, settings: Settings) -> None:
        """Do nothing."""

    @contextmanager
    def world(
        self,
        settings: Settings,
        clock: Clock,
        calls: Calls,
        folder: Path,
        circumstances: Circumstances,
        beside: Sequence[Settings] = (),
    ) -> Iterator[World]:
        """Make the models of the customer's part; nothing listens before functions look for it."""
        place, self._logs = (settings.account, settings.region), folder / "logs"
        environments = {"": settings, **{each.environment: each for each in beside}}
        certificate = certificates.issue(customer.host_names_of(environments.values()), folder / "tls")
        with ExitStack() as stack:
            make_servers = RealServers if circumstances.real_database else ModelServers
            servers: Servers = make_servers(certificate, self._logs)
            stack.callback(servers.stop)
            database = stack.enter_context(
                Database(
                    clock,
                    *place,
                    account_lock=calls.lock,
                    log_directory=self._logs,
                    snapshot_plan=circumstances.snapshot,
                    make_server=servers.make,
                    domain=customer.database_domain(settings),
                )
            )
            database.restore_plan = circumstances.restore
            builds, terraform = stack.enter_context(
                building(
                    settings,
                    clock,
                    account_lock=calls.lock,
                    log_directory=self._logs,
                    commits=circumstances.commits,
                )
            )
            caches = {
                name: stack.enter_context(ModelCache(customer.CACHE_TOKEN if each.cache.secret_arn else None))
                for name, each in environments.items()
            }
            sessions = {each.cache.host: SessionsInModel(caches[name].is_up) for name, each in environments.items()}
            request_logs = {
                name: stack.enter_context(
                    ModelRequestLogs(clock, *place, account_lock=calls.lock, group=each.log_group)
                )
                for name, each in environments.items()
            }
            applications = ModelApplications(
                lambda asked: servers.receipts(asked, database.local),
                sessions.__getitem__,
                lambda identity: request_logs[identity.environment].log_of(identity),
            )
            data_plane = ModelDataPlane(clock, applications, seed=self.seed)
            stack.callback(data_plane.stop)
            network = ModelNetwork(applications)
            load_balancer = stack.enter_context(
                LoadBalancer(clock, network, data_plane, *place, certificate, probe=probe_of(applications))
            )
            fleet = stack.enter_context(
                Fleet(
                    clock,
                    network,
                    load_balancer,
                    *place,
                    account_lock=calls.lock,
                    log_directory=self._logs,
                    colors=customer.colors_of(environments.values()),
                    environments=customer.environments_of(beside),
                    behaviours=circumstances.behaviours,
                    refresh_patience_seconds=circumstances.refresh_patience_seconds,
                    services=lambda name: customer.services(
                        customer.application_url(environments[name]), environments[name].cache.host
                    ),
                    start=lambda port, who, behaviour, services, _: applications.start(
                        port, who, behaviour, services, self._logs
                    ),
                )
            )

            def open_database(name: str) -> int:
                return servers.open(database.server(name))

            def doors(name: str) -> Callable[[], StorePorts]:
                of = environments[name]

                def open_doors() -> StorePorts:
                    data_plane.listen()
                    port = caches[name].listen(certificate if of.cache.tls else None)
                    return StorePorts(open_database(of.database_instance), port)

                return open_doors

            calls.add_journey(self._travel)
            calls.add_observer(fleet.observe)
            calls.add_observer(load_balancer.observe)
            self._data_plane, self._builds = data_plane, builds
            world = World(
                load_balancer,
                data_plane,
                fleet,
                database,
                caches[""],
                certificate,
                builds,
                terraform,
                doors(""),
                open_database,
                Names(),
                Names(),
            )
            neighbours = {
                each.environment: replace(
                    world,
                    cache=caches[each.environment],
                    terraform=terraform_of(each, builds, clock, circumstances.commits),
                    open_doors=doors(each.environment),
                )
                for each in beside
            }
            yield replace(world, beside=neighbours)

    @contextmanager
    def runtime(self, session: boto3.Session, world: World) -> Iterator[Runtime]:
        """Run functions in this process."""
        authority, networks = world.certificate.authority_file, (world.internet.routes, world.vpc.routes)
        with InProcess(RUNTIME_DIR, session, authority, *networks) as runtime:
            yield runtime

    @contextmanager
    def traffic(
        self,
        clock: Clock,
        world: World,
        listener: str,
        samples: Path,
        sticky_share: float,
    ) -> Iterator[ModelTraffic]:
        """Send model requests, at a constant rate in simulated time."""
        del world
        traffic = ModelTraffic.start(
            clock,
            self._data_plane,
            listener,
            samples,
            requests_per_second=self.requests_per_second,
            sticky_share=sticky_share,
            seed=self.seed,
        )
        try:
            yield traffic
        finally:
            traffic.stop()

    def _travel(self, caller: str | None, service: str, action: str) -> None:
        """Let a request to AWS arrive at once."""

    def as_json(self) -> dict[str, Any]:
        """Return the speeds that were asked for."""
        return {"mode": "two-speed, modelled", "speeds": {"working": 1.0, **asdict(self.speeds)}}


class InVirtualTime(Modelled):
    """
    The same in virtual time: nothing sleeps, and the seed decides who goes next.

    Functions take time only for their requests to AWS, in which others can come in between.
    """

    call_seconds = 0.02
    """How long a function's request to AWS is usually under way."""

    def __init__(self, seed: int = 0, patience_seconds: float = 4 * 3600.0) -> None:
        super().__init__(patience_seconds=patience_seconds, seed=seed)

    @contextmanager
    def clock(self) -> Iterator[Clock]:
        """Begin virtual time, until nothing is left of it."""
        with shortcuts.taken(), VirtualTime(self.seed) as self.time:
            yield self.time.clock

    def begin(self, settings: Settings) -> None:
        """
        Let chance begin where it began for any account before.

        moto's EC2 draws ids when it is made: in a new process when it is first asked, later with every reset.
        """
        del settings
        ec2_backends.clear()
        self.time.reseed(self.seed)

    def begin_anew(self, seed: int, logs: Path) -> None:
        """Let chance begin anew and instances log elsewhere, as in a copy of the process that built the account."""
        self.seed, self._logs = seed, logs
        self.time.reseed(seed)
        self._data_plane.reseed(seed)
        self._builds.log_to(logs)

    def choose_by(self, chooser: Chooser) -> None:
        """Leave it to a chooser who goes next; to be said before `begin_anew`, which gives it the seed."""
        self.time.choose_by(chooser)

    def _travel(self, caller: str | None, service: str, action: str) -> None:
        """Let a function's request be under way; that of anybody else is there at once."""
        if caller is not None:
            self.time.travel(caller, service, action, self.call_seconds, writes=not READS.match(action))

    def as_json(self) -> dict[str, Any]:
        """Return the seed, by which the rehearsal can be repeated."""
        return {"mode": VIRTUAL, "seed": self.seed}
