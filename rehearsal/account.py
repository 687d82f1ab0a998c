"""The pretend account: moto, the customer's world, and Runback's shipped stack, put together on one clock."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws
from moto.server import ThreadedMotoServer

from rehearsal.circumstances import Circumstances
from rehearsal.clock import TwoSpeedClock
from rehearsal.engine import interpreter, template
from rehearsal.engine.calls import Calls
from rehearsal.engine.events import EventBus
from rehearsal.engine.functions import FunctionService
from rehearsal.engine.interpreter import Interpreter
from rehearsal.engine.sandbox import Reach
from rehearsal.settings import Settings
from rehearsal.world import certificates, customer
from rehearsal.world.cache import Cache
from rehearsal.world.customer import World
from rehearsal.world.data_plane import DataPlane
from rehearsal.world.database import Database
from rehearsal.world.fleet import Fleet
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.names import Names
from rehearsal.world.network import Network
from rehearsal.world.request_logs import LogShipper
from rehearsal.world.tls_front import TlsFronts

BUILD = Path("build")
GOOD_WEATHER = Circumstances()


@dataclass(frozen=True)
class Account:
    """Everything that a scenario plays with, and an observer looks at."""

    settings: Settings
    folder: Path
    clock: TwoSpeedClock
    calls: Calls
    interpreter: Interpreter
    functions: FunctionService
    events: EventBus
    load_balancer: LoadBalancer
    fleet: Fleet
    database: Database
    cache: Cache
    stack: template.Stack

    def client(self, service: str) -> Any:
        """Return a boto3 client into this account: the way of an operator."""
        return boto3.client(service, region_name=self.settings.region)


@contextmanager
def pretend_account(
    settings: Settings,
    assembly: Path,
    folder: Path,
    *,
    version: str,
    speed: float,
    circumstances: Circumstances = GOOD_WEATHER,
) -> Iterator[Account]:
    """
    Build the account, with `version` live on blue, and take it down again.

    `folder` receives the logs; `speed` is how many simulated seconds pass in a second in which everything waits.
    """
    with ExitStack() as stack:
        stack.enter_context(_credentials(settings))
        stack.enter_context(
            mock_aws(config={"stepfunctions": {"execute_state_machine": True}, "core": {"reset_boto3_session": True}})
        )
        clock = TwoSpeedClock(speed)
        session = boto3.Session(region_name=settings.region)
        with clock.at_real_speed():
            calls = stack.enter_context(Calls(clock))
            endpoint_url = stack.enter_context(_endpoint())
            world = stack.enter_context(_world(settings, clock, calls, folder, circumstances))
            customer.build(settings, world, version, circumstances)
            machines = stack.enter_context(interpreter.install(clock))
            functions = stack.enter_context(
                FunctionService(
                    clock,
                    calls,
                    endpoint_url=endpoint_url,
                    account=settings.account,
                    session=session,
                    build_dir=BUILD / "runtime",
                    log_dir=folder / "logs",
                    internet=Reach(world.internet.file, world.certificate.authority_file),
                    vpc=Reach(world.vpc.file, world.certificate.authority_file),
                )
            )
            events = stack.enter_context(EventBus(clock, account=settings.account, session=session))
            loaded = template.load(assembly, settings.stack_name, functions, session=session)
            machines.on_status_change(lambda detail: events.put(_status_event(detail)))
        yield Account(
            settings=settings,
            folder=folder,
            clock=clock,
            calls=calls,
            interpreter=machines,
            functions=functions,
            events=events,
            load_balancer=world.load_balancer,
            fleet=world.fleet,
            database=world.database,
            cache=world.cache,
            stack=loaded,
        )


def _status_event(detail: dict[str, Any]) -> dict[str, Any]:
    """Wrap it as in https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html."""
    return {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "resources": [detail["executionArn"]],
        "detail": detail,
    }


@contextmanager
def _credentials(settings: Settings) -> Iterator[None]:
    """Let moto be the account of the settings, and keep every real credential out of it."""
    pretended = {
        "AWS_ACCESS_KEY_ID": "OPERATOR000000000000",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_SESSION_TOKEN": "rehearsal",
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MOTO_ACCOUNT_ID": settings.account,
        "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    }
    before = {name: os.environ.get(name) for name in pretended}
    os.environ.update(pretended)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _endpoint() -> Iterator[str]:
    """Serve the same account over HTTP, for the functions in their own processes."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # it would print a line for every call
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def _world(
    settings: Settings, clock: TwoSpeedClock, calls: Calls, folder: Path, circumstances: Circumstances
) -> Iterator[World]:
    """Start what the customer's part of the account stands on; `customer.build` then makes the resources."""
    place, logs = (settings.account, settings.region), folder / "logs"
    certificate = certificates.issue(customer.host_names(settings), folder / "tls")
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
            )
        )
        cache = stack.enter_context(Cache(logs))
        stack.enter_context(
            LogShipper(clock, *place, account_lock=calls.lock, group=settings.log_group, directory=logs)
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
                colors={color.auto_scaling_group: name for name, color in settings.colors.items()},
                behaviours=circumstances.behaviours,
                refresh_patience_seconds=circumstances.refresh_patience_seconds,
                services=lambda: customer.services(settings, database, cache),
            )
        )
        calls.add_observer(fleet.observe)
        calls.add_observer(load_balancer.observe)
        internet, vpc = (Names(folder / "names" / f"{network}.json") for network in ("internet", "vpc"))
        yield World(load_balancer, fleet, database, cache, certificate, tls_fronts, internet, vpc)
