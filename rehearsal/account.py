"""The pretend account: moto, the customer's world, and Runback's shipped stack, put together on one clock."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws

from rehearsal.circumstances import Circumstances
from rehearsal.clock import Clock
from rehearsal.engine import function_metrics, interpreter, template
from rehearsal.engine.alarms import Alarms
from rehearsal.engine.calls import Calls
from rehearsal.engine.custom_metrics import CustomMetrics
from rehearsal.engine.events import EventBus
from rehearsal.engine.function_metrics import FunctionMetrics
from rehearsal.engine.function_urls import FunctionUrls
from rehearsal.engine.functions import FunctionService
from rehearsal.engine.interpreter import Interpreter
from rehearsal.engine.metrics import Metrics
from rehearsal.engine.people import SECRET, People, Person, people_of
from rehearsal.engine.policy_simulator import PolicySimulator
from rehearsal.engine.trail import Trail
from rehearsal.settings import Settings
from rehearsal.staging import Staging
from rehearsal.world import customer, load_balancer_metrics, migrations, secrets, surroundings
from rehearsal.world.application_metrics import application_metrics
from rehearsal.world.builds import Builds
from rehearsal.world.counter_readings import CounterReadings
from rehearsal.world.customer import Cache, World
from rehearsal.world.database import Database
from rehearsal.world.fleet import Fleet
from rehearsal.world.gauge_metrics import GaugeMetrics
from rehearsal.world.github import GitHub
from rehearsal.world.github_repository import CheckRun
from rehearsal.world.host_metrics import HostMetrics
from rehearsal.world.load_balancer import LoadBalancer
from rehearsal.world.load_balancer_metrics import LoadBalancerMetrics
from rehearsal.world.strain import AGENT, EC2, RDS, Strain
from rehearsal.world.surroundings import Surroundings
from rehearsal.world.terraform import Terraform

GOOD_WEATHER = Circumstances()

_NO_END_YET = datetime.max.replace(tzinfo=UTC)

_SUMMARY = "All is well. Coverage: 91.4 %"
"""What checks say of a commit, unless a scenario lets them say something else."""


@dataclass(frozen=True)
class Account:
    """Everything that a scenario plays with, and an observer looks at, as those see it who work in one environment."""

    settings: Settings
    session: boto3.Session
    folder: Path
    clock: Clock
    calls: Calls
    interpreter: Interpreter
    functions: FunctionService
    events: EventBus
    world: World
    metrics: Metrics
    alarms: Alarms
    strain: Strain
    """How much instances and database bear, for a scenario to change."""
    stack: template.Stack
    """Of the environment."""
    ingress: template.Stack | None
    """Where pushes arrive; None where no push starts anything."""
    whole: template.Stack
    """All stacks of ours in the account, together."""
    people: People
    """Who works in it."""
    urls: FunctionUrls
    surroundings: Surroundings
    """What a release's gates look at beside the environment."""
    beside: Mapping[str, "Account"] = field(default_factory=dict)
    """The same account, as those see it who work in one of its other environments, by the environment's name."""

    def client(self, service: str, person: Person | None = None) -> Any:
        """Return a boto3 client into this account: the way of an operator, or of somebody else."""
        if person is None:
            return self.session.client(service)
        return self.session.client(service, aws_access_key_id=person.access_key, aws_secret_access_key=SECRET)

    @property
    def load_balancer(self) -> LoadBalancer:
        """Of the customer's part, what routes."""
        return self.world.load_balancer

    @property
    def fleet(self) -> Fleet:
        """Of the customer's part, the instances."""
        return self.world.fleet

    @property
    def database(self) -> Database:
        """Of the customer's part, the RDS instances."""
        return self.world.database

    @property
    def builds(self) -> Builds:
        """Of the customer's part, what CodeBuild does."""
        return self.world.builds

    @property
    def terraform(self) -> Terraform:
        """Of the customer's part, what Terraform knows of it."""
        return self.world.terraform

    @property
    def github(self) -> GitHub:
        """Where the source is. Raises LookupError where settings name no repository."""
        if self.world.github is None:
            raise LookupError(f"the settings of {self.settings.environment} have no [github]")
        return self.world.github

    @property
    def cache(self) -> Cache:
        """Of the customer's part, the cache."""
        return self.world.cache


@contextmanager
def pretend_account(
    settings: Settings,
    assembly: Path,
    folder: Path,
    staging: Staging,
    *,
    version: str,
    circumstances: Circumstances = GOOD_WEATHER,
    beside: Sequence[Settings] = (),
) -> Iterator[Account]:
    """
    Build the account, with `version` live on blue, and take it down again. `folder` receives the logs.

    `beside` are other environments of the service which are in the same account, with the same version.
    `play.until_served` then opens it: until then functions find no host, and no alarm finds anything wrong.
    """
    with ExitStack() as stack:
        stack.enter_context(_credentials(settings))
        stack.enter_context(_quiet("moto.stepfunctions"))  # it prints every execution that fails, at length
        clock = stack.enter_context(staging.clock())
        stack.enter_context(
            mock_aws(config={"stepfunctions": {"execute_state_machine": True}, "core": {"reset_boto3_session": True}})
        )
        staging.begin(settings)
        session = boto3.Session(region_name=settings.region)
        with clock.at_real_speed():
            calls = stack.enter_context(Calls(clock))
            stack.enter_context(PolicySimulator())
            stack.enter_context(secrets.moving_labels())
            world = stack.enter_context(staging.world(settings, clock, calls, folder, circumstances, beside))
            world = stack.enter_context(
                _with_github(world, (settings, *beside), clock, (version, *circumstances.later_versions))
            )
            customer.build(settings, world, version, circumstances)
            for each in beside:
                customer.build(each, world.beside[each.environment], version, circumstances)
            if settings.ingress:
                customer.build_webhook(session, settings.ingress)
            environments, known = (settings, *beside), (version, *circumstances.later_versions)
            around = stack.enter_context(
                surroundings.surroundings(clock, environments, partial(_versions, world, known))
            )
            surroundings.build(session, environments, around, known, clock.now())
            machines = stack.enter_context(interpreter.install(clock))
            runtime = stack.enter_context(staging.runtime(session, world))
            functions = stack.enter_context(
                FunctionService(
                    clock, calls, runtime, account=settings.account, session=session, log_dir=folder / "logs"
                )
            )
            migrations.install(
                session,
                settings,
                functions,
                clock,
                circumstances.migration,
                lambda sql: world.database.run(settings.database_instance, sql),
            )
            strains = {each.environment: Strain(each, world.fleet) for each in (settings, *beside)}
            metrics = stack.enter_context(_metrics(clock, (settings, *beside), world, functions, strains))
            events = stack.enter_context(EventBus(clock, account=settings.account, session=session))
            alarms = stack.enter_context(Alarms(clock, metrics, events, account=settings.account, session=session))
            ingress = None
            if settings.ingress:  # before all who listen on its bus
                ingress = template.load(assembly, settings.ingress.stack_name, functions, session=session)
            loaded = template.load(assembly, settings.stack_name, functions, session=session)
            others = {
                each.environment: template.load(assembly, each.stack_name, functions, session=session)
                for each in beside
            }
            whole = template.together([*([ingress] if ingress else []), loaded, *others.values()])
            alarms.assume_well(until=_NO_END_YET)
            machines.on_status_change(lambda detail: events.put(_status_event(detail)))
            people = people_of(settings.account, settings.approver_role)
            calls.add_answer_observer(Trail(clock, events, whole, people.by_access_key).answered)
            urls = FunctionUrls(clock, functions, whole, people.by_access_key)
        account = Account(
            settings,
            session,
            folder,
            clock,
            calls,
            machines,
            functions,
            events,
            world,
            metrics,
            alarms,
            strains[settings.environment],
            loaded,
            ingress,
            whole,
            people,
            urls,
            around,
        )
        neighbours = {
            each.environment: replace(
                account,
                settings=each,
                world=world.beside[each.environment],
                strain=strains[each.environment],
                stack=others[each.environment],
            )
            for each in beside
        }
        yield replace(account, beside=neighbours)


def _versions(world: World, known: Sequence[str]) -> Iterator[str]:
    """Yield every version that anybody knows by now."""
    yield from known
    if world.github is not None:
        yield from list(world.github.repository.commits)


@contextmanager
def _with_github(world: World, environments: Sequence[Settings], clock: Clock, known: Sequence[str]) -> Iterator[World]:
    """Let there be the repository that the settings name, for all environments, with all checks that they ask for."""
    settings = [each.github for each in environments if each.github]
    if not settings:
        yield world
        return
    github = GitHub(clock, settings[0].repository, settings[0].repository_id, known)
    names = dict.fromkeys(name for each in settings for name in each.checks)
    github.repository.usual_check_runs = [CheckRun(name, summary=_SUMMARY) for name in names]
    try:
        beside = {name: replace(each, github=github) for name, each in world.beside.items()}
        yield replace(world, github=github, beside=beside)
    finally:
        github.stop()


@contextmanager
def _metrics(
    clock: Clock,
    environments: Sequence[Settings],
    world: World,
    functions: FunctionService,
    strains: Mapping[str, Strain],
) -> Iterator[Metrics]:
    """Let everything be measured that publishes metrics."""
    with ExitStack() as stack:
        custom = stack.enter_context(CustomMetrics(clock))
        functions.add_log_observer(custom.read)
        metrics = stack.enter_context(Metrics(custom))
        of_functions = FunctionMetrics(clock)
        functions.add_outcome_observer(of_functions.invoked)
        functions.add_limit_observer(of_functions.turned_away)
        functions.add_url_observer(of_functions.answered)
        metrics.register(function_metrics.NAMESPACE, of_functions)
        readings = stack.enter_context(CounterReadings(clock, world.counters))
        balancers = load_balancer_metrics.balancers_of(environments)
        metrics.register(load_balancer_metrics.NAMESPACE, LoadBalancerMetrics(clock, readings, balancers))
        for settings in environments:
            if own := application_metrics(clock, readings, settings):
                metrics.register(*own)
        hosts = [HostMetrics(settings, world.load_balancer) for settings in environments]
        looks = [each.look for each in (*hosts, *strains.values())]
        gauges = stack.enter_context(GaugeMetrics(clock, looks))
        for namespace in (load_balancer_metrics.NAMESPACE, EC2, AGENT, RDS):
            metrics.register(namespace, gauges)
        yield metrics


def _status_event(detail: dict[str, Any]) -> dict[str, Any]:
    """Wrap it as in https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html."""
    return {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "resources": [detail["executionArn"]],
        "detail": detail,
    }


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Let a library say nothing less than critical."""
    before = logging.getLogger(logger).level
    logging.getLogger(logger).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logging.getLogger(logger).setLevel(before)


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
