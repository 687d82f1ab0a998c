"""Packaged staging: real processes under real load, as `make rehearse` shows them."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from rehearsal.circumstances import Circumstances
from rehearsal.clock import Clock, TwoSpeedClock
from rehearsal.engine.calls import Calls
from rehearsal.engine.sandbox import Processes, Reach, Runtime
from rehearsal.settings import Settings
from rehearsal.staging import RUNTIME_DIR, Speeds
from rehearsal.world import certificates, customer
from rehearsal.world.cache import Cache
from rehearsal.world.customer import StorePorts, World
from rehearsal.world.data_plane import DataPlane
from rehearsal.world.database import Database
from rehearsal.world.fleet import Fleet
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.names import Names
from rehearsal.world.network import Network
from rehearsal.world.request_logs import LogShipper
from rehearsal.world.terraform_builds import building, terraform_of
from rehearsal.world.tls_front import TlsFronts
from rehearsal.world.traffic import Traffic

PATIENCE_SECONDS = 150.0


class Packaged:
    """Everything that can be real on this machine is."""

    requests_per_second = 60.0

    def __init__(self, speeds: Speeds | None = None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.speeds = speeds or Speeds()
        self.patience_seconds = patience_seconds

    def with_users(self, requests_per_second: float | None) -> "Packaged":
        """
        Slow the bakes down until the users, who cannot send more in a wall second, send as many in a simulated one.

        Fewer than that at the speeds as they are do not hurry the bakes: then users send less.
        """
        if requests_per_second is None:
            return self
        fastest = self.requests_per_second / requests_per_second
        speeds = replace(
            self.speeds, judging=min(self.speeds.judging, fastest), baking=min(self.speeds.baking, fastest)
        )
        slower = self.speeds.judging / speeds.judging
        adapted = Packaged(speeds, self.patience_seconds * slower)
        adapted.requests_per_second = requests_per_second * speeds.judging
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
        """Start the processes of the customer's part."""
        place, logs = (settings.account, settings.region), folder / "logs"
        environments = {"": settings, **{each.environment: each for each in beside}}
        containers = folder / "builds"
        certificate = certificates.issue(customer.host_names_of(environments.values()), folder / "tls")
        with ExitStack() as stack:
            network, data_plane = Network(), DataPlane(logs)
            stack.callback(data_plane.stop)
            tls_fronts = TlsFronts(certificate, logs)
            stack.callback(tls_fronts.stop)
            database = stack.enter_context(
                Database(
                    clock,
                    *place,
                    account_lock=calls.lock,
                    log_directory=logs,
                    snapshot_plan=circumstances.snapshot,
                    domain=customer.database_domain(settings),
                )
            )
            database.restore_plan = circumstances.restore
            builds, terraform = stack.enter_context(
                building(
                    settings,
                    clock,
                    account_lock=calls.lock,
                    log_directory=logs,
                    commits=circumstances.commits,
                    containers=containers,
                )
            )
            caches = {name: stack.enter_context(Cache(logs, name)) for name in environments}
            for name, each in environments.items():
                stack.enter_context(
                    LogShipper(
                        clock,
                        *place,
                        account_lock=calls.lock,
                        group=each.log_group,
                        directory=logs,
                        environment=name,
                    )
                )
            load_balancer = stack.enter_context(LoadBalancer(clock, network, data_plane, *place, certificate))
            fleet = stack.enter_context(
                Fleet(
                    clock,
                    network,
                    load_balancer,
                    *place,
                    account_lock=calls.lock,
                    log_directory=logs,
                    colors=customer.colors_of(environments.values()),
                    environments=customer.environments_of(beside),
                    behaviours=circumstances.behaviours,
                    refresh_patience_seconds=circumstances.refresh_patience_seconds,
                    services=lambda name: customer.services(
                        database.local(customer.application_url(environments[name])), caches[name].address
                    ),
                )
            )

            def open_database(name: str) -> int:
                return tls_fronts.open("postgresql", database.port(name))

            def doors(name: str) -> Callable[[], StorePorts]:
                of, cache = environments[name], caches[name]

                def open_doors() -> StorePorts:
                    port = tls_fronts.open("redis", cache.port) if of.cache.tls else cache.port
                    return StorePorts(open_database(of.database_instance), port)

                return open_doors

            calls.add_observer(fleet.observe)
            calls.add_observer(load_balancer.observe)
            internet, vpc = (Names(folder / "names" / f"{network}.json") for network in ("internet", "vpc"))
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
                internet,
                vpc,
            )
            neighbours = {
                each.environment: replace(
                    world,
                    cache=caches[each.environment],
                    terraform=terraform_of(each, builds, clock, circumstances.commits, containers),
                    open_doors=doors(each.environment),
                )
                for each in beside
            }
            yield replace(world, beside=neighbours)

    @contextmanager
    def runtime(self, session: boto3.Session, world: World) -> Iterator[Runtime]:
        """Serve the account over HTTP, for functions in processes of their own."""
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it would print a line for every call
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        authority = world.certificate.authority_file
        try:
            host, port = server.get_host_and_port()
            yield Processes(
                RUNTIME_DIR,
                str(session.region_name),
                f"http://{host}:{port}",
                internet=Reach(world.internet.file, authority),
                vpc=Reach(world.vpc.file, authority),
            )
        finally:
            server.stop()

    @contextmanager
    def traffic(
        self,
        clock: Clock,
        world: World,
        listener: str,
        samples: Path,
        sticky_share: float,
    ) -> Iterator[Traffic]:
        """Send real requests, at a constant rate in wall time."""
        del clock
        traffic = Traffic.start(world.load_balancer.url(listener), self.requests_per_second, samples, sticky_share)
        try:
            yield traffic
        finally:
            traffic.stop()

    def as_json(self) -> dict[str, Any]:
        """Return the speeds that were asked for."""
        return {"mode": "two-speed", "speeds": {"working": 1.0, **asdict(self.speeds)}}
