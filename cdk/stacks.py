"""One environment's stack, composed of one construct per capability."""

from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk.alarms import Alarms
from cdk.approval import ApprovalUrl, NoteCallers
from cdk.dashboard import Dashboard
from cdk.exports import Exports
from cdk.functions import Functions
from cdk.gate_settings import skippable_gates
from cdk.infrastructure import Builds
from cdk.machines import Machine
from cdk.monitoring import LostEventsAlarm, Notices, NoticesAlarm, WatchdogAlarm
from cdk.names import LOST_EVENTS, Names
from cdk.probes import PROBES, Probes
from cdk.push_settings import Pushes
from cdk.pushes import Reconcile, ReleasePushes
from cdk.record import Record
from cdk.reporting import TellGitHub
from cdk.reports import ReportOnEndedExecution, Reports
from cdk.settings import EnvironmentSettings, Restore
from cdk.triggers import LostEvents, RollbackOnAlarm, RollbackOnUnfinishedExecution, Watchdog
from cdk.warning_notices import TellWarnings
from lambdas.database.instance_rules import RESTORE_WITHIN_SECONDS
from lambdas.github.push_rules import LONGEST_RUN_SECONDS
from statemachines.clean_up import clean_up_definition
from statemachines.deploy import deploy_definition
from statemachines.operate import operate_definition
from statemachines.plan import ReleasePlan, RestorePlan, ShiftStep
from statemachines.push import push_definition
from statemachines.report import report_definition
from statemachines.restore_database import restore_database_definition
from statemachines.rollback import rollback_definition
from statemachines.steps import Steps

_ROLLBACK_TIMEOUT = Duration.minutes(30)
_CLEAN_UP_SPARE = Duration.days(1)
"""
How long a clean-up keeps out of the way of others after the window. Looking every minute, it stays below the 25,000
events that an execution may have: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
"""
_OPERATE_TIMEOUT = Duration.minutes(15)
_PUSH_TIMEOUT = Duration.seconds(LONGEST_RUN_SECONDS).plus(Duration.hours(1))
"""An execution that takes pushes hands over by itself before; with more, something hangs, and the next one goes on."""
_REPORT_TIMEOUT = Duration.minutes(15)
"""Both steps with all their attempts, and the wait between them, take less."""
_COUNTING_SECONDS = 2 * 3600
"""How long it may take to verify restored data, to count what is lost, and all that waits for nobody."""
_OVERHEAD_SECONDS = 900
"""What a release may need beside waits, bakes and pauses; with more, something hangs, and the rollback takes over."""


class EnvironmentStack(Stack):
    """
    Everything that Runback is in one environment, independent of every other environment.

    It holds what serves customers only by name: deleting this stack changes no listener and no instance.
    """

    def __init__(self, scope: Construct, settings: EnvironmentSettings) -> None:
        super().__init__(
            scope,
            f"Runback-{settings.prefix}",
            description=f"Runback: releases and rollbacks of {settings.service} in {settings.environment}",
            env=Environment(account=settings.account, region=settings.region),
            termination_protection=True,
            suppress_template_indentation=True,  # CloudFormation takes a template of 1 MB
            tags={"runback:service": settings.service, "runback:environment": settings.environment},
        )
        Record(self, "Record", settings)
        Reports(self, "Reports", settings)
        notices = Notices(self, "Notices", settings)
        functions = Functions(self, "Functions", settings)
        if settings.infrastructure:
            inspector = functions.role("infrastructure.check_plan")
            Builds(self, "Builds", settings, settings.infrastructure, inspector)
        clean_up = Machine(
            self,
            "CleanUp",
            settings,
            functions,
            "clean-up",
            lambda scope, versions: clean_up_definition(Steps(scope, versions)),
            timeout=Duration.seconds(settings.release.rollback_window_seconds).plus(_CLEAN_UP_SPARE),
        )
        restores = [self._restore(settings, settings.restore, functions)] if settings.restore else []
        rollback = Machine(
            self,
            "Rollback",
            settings,
            functions,
            "rollback",
            lambda scope, versions: rollback_definition(
                Steps(scope, versions),
                clean_up.state_machine,
                restores[0] if restores else None,
                can_migrate=settings.migrations is not None,
                deploy=self._deploy_machine(settings) if settings.infrastructure else None,
                skips=skippable_gates(settings),
            ),
            timeout=_ROLLBACK_TIMEOUT.plus(_longest_migrations(settings)).plus(_longest_infrastructure(settings)),
        )
        deploy = Machine(
            self,
            "Deploy",
            settings,
            functions,
            "deploy",
            lambda scope, versions: deploy_definition(
                Steps(scope, versions), _plan(settings), rollback.state_machine, clean_up.state_machine
            ),
            timeout=Duration.seconds(settings.longest_release.seconds + _OVERHEAD_SECONDS),
        )
        Machine(
            self,
            "Operate",
            settings,
            functions,
            "operate",
            lambda scope, versions: operate_definition(Steps(scope, versions), rollback.state_machine),
            timeout=_OPERATE_TIMEOUT,
        )
        report = Machine(
            self,
            "Report",
            settings,
            functions,
            "report",
            lambda scope, versions: report_definition(Steps(scope, versions)),
            timeout=_REPORT_TIMEOUT,
        )
        # neither operate, which has no part in how a release ends, nor report, which would then report on itself
        holders = [deploy.state_machine, rollback.state_machine, clean_up.state_machine, *restores]

        lost_events = LostEvents(self, "LostEvents", settings)
        on_unfinished = RollbackOnUnfinishedExecution(
            self,
            "RollbackOnUnfinishedExecution",
            settings,
            watched=holders,
            rollback=rollback.state_machine,
            lost_events=lost_events.queue,
        )
        on_alarm = RollbackOnAlarm(self, "RollbackOnAlarm", settings, rollback.state_machine, lost_events.queue)
        functions.allow_simulation("rollback", rollback.state_machine, on_unfinished.role, on_alarm.role)
        for restore in restores:
            functions.allow_simulation("restore-database", restore)
        ReportOnEndedExecution(self, "ReportOnEndedExecution", settings, holders, report.state_machine)
        if settings.github:
            watched = [deploy.state_machine, rollback.state_machine]
            TellGitHub(self, "TellGitHub", settings, watched, functions.version("github.report_status"))
        alarms = Alarms(self, "Alarms", settings)
        Dashboard(self, "Dashboard", settings, alarms)
        TellWarnings(self, "TellWarnings", settings, functions.version("notices.tell_alarm"))
        Probes(self, "Probes", settings, {module: functions.version(module) for module in PROBES})
        Watchdog(self, "Watchdog", settings, functions.version("rollback.watchdog"), lost_events.queue)
        WatchdogAlarm(self, "WatchdogAlarm", settings, notices.topic)
        NoticesAlarm(self, "NoticesAlarm", settings, notices.topic)
        if settings.pushes:
            self._release_pushes(settings, settings.pushes, functions, lost_events)
        LostEventsAlarm(self, "LostEventsAlarm", lost_events.queue, notices.topic, Names(settings).named(LOST_EVENTS))
        if settings.approval:
            ApprovalUrl(self, "ApprovalUrl", settings.approval, functions)
            NoteCallers(self, "NoteCallers", settings, functions.version("operate.note_caller"))

    def _release_pushes(
        self, settings: EnvironmentSettings, pushes: Pushes, functions: Functions, lost_events: LostEvents
    ) -> None:
        """Make what a push becomes a release with, where settings say that it may."""
        machine = Machine(
            self,
            "Push",
            settings,
            functions,
            "push",
            lambda scope, versions: push_definition(Steps(scope, versions)),
            timeout=_PUSH_TIMEOUT,
        ).state_machine
        if settings.github:
            ReleasePushes(
                self, "ReleasePushes", settings, pushes, settings.github, machine, lost_events=lost_events.queue
            )
        Reconcile(self, "Reconcile", settings, pushes, functions.version("github.reconcile"))

    def _deploy_machine(self, settings: EnvironmentSettings) -> sfn.IStateMachine:
        """Name the machine that a complete rollback starts, and that itself starts rollbacks: no circle."""
        return sfn.StateMachine.from_state_machine_arn(self, "DeployByName", Names(settings).machine_arn("deploy"))

    def _restore(self, settings: EnvironmentSettings, restore: Restore, functions: Functions) -> sfn.StateMachine:
        """Make what brings the database back, where settings say how."""
        Exports(self, "Exports", settings, restore, functions.role("database.count_lost_writes"))
        plan = RestorePlan(restore.approval_minutes, restore.drain_seconds)
        return Machine(
            self,
            "RestoreDatabase",
            settings,
            functions,
            "restore-database",
            lambda scope, versions: restore_database_definition(Steps(scope, versions), plan),
            timeout=Duration.seconds(_longest_restore(settings, restore)),
        ).state_machine


def _longest_migrations(settings: EnvironmentSettings) -> Duration:
    """Return how long a rollback of a release that has no traffic yet may wait for the end of its migrations."""
    return Duration.minutes(settings.migrations.timeout_minutes if settings.migrations else 0)


def _longest_infrastructure(settings: EnvironmentSettings) -> Duration:
    """Return how long a rollback may wait for an unfinished apply, and for a plan and an apply of its own."""
    return Duration.seconds(3 * settings.longest_build_seconds)


def _longest_restore(settings: EnvironmentSettings, restore: Restore) -> int:
    """Return how many seconds a restore takes that waits for everything, fails last, and goes all the way back."""
    snapshots = 2 * settings.database.snapshot_timeout_seconds  # the copy of one that is shared, and the safety one
    waits = restore.approval_minutes * 60 + restore.drain_seconds + snapshots
    return waits + RESTORE_WITHIN_SECONDS + 2 * settings.release.prepare_timeout_seconds + _COUNTING_SECONDS


def _plan(settings: EnvironmentSettings) -> ReleasePlan:
    return ReleasePlan(
        tuple(ShiftStep(step.weight, step.bake_seconds) for step in settings.release.steps),
        can_restore=settings.restore is not None,
        can_migrate=settings.migrations is not None,
        can_apply=settings.infrastructure is not None,
        has_gates=settings.gates is not None,
        approval_minutes=settings.release_approval.release_minutes if settings.release_approval else None,
    )
