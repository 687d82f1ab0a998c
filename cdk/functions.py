"""Every Lambda function: what it is for, who calls it, what it is told, what it may do."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from cdk.acknowledgements import acknowledge_star, acknowledge_tracing, acknowledge_versions
from cdk.alarms import critical_alarms
from cdk.certificate import CERTIFICATE_FILE, certificate, certified
from cdk.gate_permissions import READ_CALENDARS, READ_FOUNDATIONS, READ_GATED_COMMITS
from cdk.gate_settings import gates_variable, skippable_gates
from cdk.lambdas import Shape, libraries, make_function, make_log
from cdk.names import APPLY, PLAN, Names
from cdk.packaging import function_code
from cdk.permissions import (
    ANSWER_TASKS,
    APPLY_INFRASTRUCTURE,
    CANCEL_REFRESHES,
    CHECK_RECORD,
    CONNECT_TO_NETWORK,
    COPY_SHARED_SNAPSHOTS,
    FIND_APPLIES,
    FIND_IN_RECORD,
    FIND_MIGRATIONS,
    FREEZE_LISTENERS,
    GIVE_GROUPS_BACK,
    HOLD_GROUPS,
    LOOK_AROUND_A_RESTORE,
    MAKE_MASTER_SECRETS,
    MODIFY_INSTANCES,
    PASS_DATABASE_ROLES,
    PLAN_INFRASTRUCTURE,
    PUBLISH_NOTICES,
    READ_ALARMS,
    READ_APPLICATION_LOG,
    READ_APPLIES,
    READ_DEPLOYMENTS,
    READ_EC2_INSTANCES,
    READ_EVIDENCE,
    READ_EXECUTIONS,
    READ_GROUPS,
    READ_HISTORIES,
    READ_INSTANCES,
    READ_LAUNCH_TEMPLATES,
    READ_LISTENERS,
    READ_METRICS,
    READ_MIGRATIONS,
    READ_PARTS_OF_INSTANCES,
    READ_PLANS,
    READ_PUSHES,
    READ_RECORD,
    READ_RECORD_BEFORE,
    READ_REFRESHES,
    READ_RELEASE,
    READ_RELEASES_OF_PUSHES,
    READ_RULE_TAGS,
    READ_RULES,
    READ_SECRET_OF_ADMINISTRATOR,
    READ_SECRET_OF_DATABASE,
    READ_SECRETS_OF_CHECKS,
    READ_SECRETS_OF_DATA_STORES,
    READ_SECRETS_OF_PROBE,
    READ_SECRETS_OF_RESTORE,
    READ_SHARED_SNAPSHOTS,
    READ_SNAPSHOTS,
    READ_SUBSCRIPTIONS,
    READ_TARGET_HEALTH,
    READ_TOKEN_OF_GITHUB,
    READ_WAY_BACK,
    REPLACE_IN_RECORD,
    RESTART_GROUPS,
    RESTORE_INSTANCES,
    RESUME_SCALING,
    RUN_MIGRATIONS,
    SET_MASTER_PASSWORDS,
    START_PUSHES,
    START_REFRESHES,
    START_RELEASES,
    START_ROLLBACKS,
    STOP_DEPLOYMENTS,
    SUSPEND_SCALING,
    SWAP_CONNECTION,
    TAKE_SAFETY_SNAPSHOTS,
    TAKE_SNAPSHOTS,
    THAW_LISTENERS,
    UPDATE_GROUPS,
    UPDATE_RECORD,
    USE_DATABASE_KEYS,
    USE_LAUNCH_TEMPLATES,
    VERSION_LAUNCH_TEMPLATES,
    WRITE_EXPORTS,
    WRITE_LIVE_ROUTES,
    WRITE_PARAMETERS,
    WRITE_REPORTS,
    WRITE_TEST_ROUTES,
    WRITE_WAY_BACK,
    Permission,
    certify,
)
from cdk.settings import COLORS, EnvironmentSettings

DEPLOY = frozenset({"deploy"})
ROLLBACK = frozenset({"rollback"})
CLEAN_UP = frozenset({"clean-up"})
OPERATE = frozenset({"operate"})
REPORT = frozenset({"report"})
PUSH = frozenset({"push"})
RESTORE = frozenset({"restore-database"})
BOTH = DEPLOY | ROLLBACK
HOLDERS = BOTH | CLEAN_UP
WHO_TELLS = HOLDERS | OPERATE | RESTORE | PUSH
NO_MACHINE: frozenset[str] = frozenset()

_LONGEST_SECONDS = 900
"""As long as Lambda lets a function take: whole tables are read, from volumes that are filled meanwhile."""


@dataclass(frozen=True)
class FunctionSpec:
    """
    One function. `module` is where its handler is, below `lambdas`.

    A function that writes a live listener, or that stands between an event and safe traffic, may take eight seconds at
    most: as long as that a rollback has to wait before it knows that no slower one can still write. Those of the
    rollback's way have concurrency reserved, so that nothing else in the account can use it up. `drivers` are what
    checks ask the product with. A function that is in the VPC reaches what settings name there, and nothing else. One
    that `certifies` a machine is told, in a file beside its code, what that machine and its functions need. What only
    an optional table of settings calls for is made `only_with` that table, named as the field of the settings.
    """

    module: str
    description: str
    machines: frozenset[str]
    timeout_seconds: int = 30
    variables: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()
    reserved_concurrency: int | None = None
    drivers: bool = False
    in_vpc: bool = False
    certifies: str = ""
    only_with: str = ""

    @property
    def name(self) -> str:
        """The function's name without what all names in its environment begin with."""
        return self.module.rpartition(".")[2].replace("_", "-")

    def is_part_of(self, settings: EnvironmentSettings) -> bool:
        """Say whether an environment has the function: what only a restore needs comes with its settings."""
        if self.only_with and getattr(settings, self.only_with) is None:
            return False
        return settings.restore is not None or self.machines != RESTORE


FUNCTIONS = (
    FunctionSpec(
        module="release.validate_request",
        description="Says what is wrong with a request before anything is touched.",
        machines=DEPLOY,
        variables=("MIGRATIONS", "INFRASTRUCTURE", "SKIPPABLE"),
    ),
    FunctionSpec(
        module="release.claim_environment",
        description="Takes the environment for one release, or says who has it.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "RELEASE"),
        permissions=(READ_RECORD, UPDATE_RECORD, REPLACE_IN_RECORD, *READ_LISTENERS, READ_RULES),
    ),
    FunctionSpec(
        module="release.check_bake",
        description="Looks whether a release was observed for long enough, and whether it is paused.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(UPDATE_RECORD,),
    ),
    FunctionSpec(
        module="release.promote",
        description="Accepts the release after its last bake, and opens its rollback window.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "RELEASE", "PARAMETERS"),
        permissions=(*READ_LISTENERS, READ_RECORD, UPDATE_RECORD, REPLACE_IN_RECORD, WRITE_PARAMETERS),
    ),
    FunctionSpec(
        module="release.release_environment",
        description="Lets the environment go, for the next release.",
        machines=HOLDERS,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(READ_RECORD, UPDATE_RECORD),
    ),
    FunctionSpec(
        module="release.claim_clean_up",
        description="Decides whether it is time to give the way back up, and takes the environment for it.",
        machines=CLEAN_UP,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES"),
        permissions=(READ_RECORD, REPLACE_IN_RECORD, *READ_LISTENERS),
    ),
    FunctionSpec(
        module="rollback.record_rollback_point",
        description="Writes down what to go back to, before anything changes.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            UPDATE_RECORD,
            REPLACE_IN_RECORD,
            READ_TARGET_HEALTH,
            READ_GROUPS,
            READ_LAUNCH_TEMPLATES,
        ),
    ),
    FunctionSpec(
        module="rollback.claim_rollback",
        description="Decides whether an event calls for a rollback, and takes the environment over for it.",
        machines=ROLLBACK,
        timeout_seconds=8,
        variables=(
            "ENVIRONMENT",
            "RECORD_TABLE",
            "ROUTES",
            "COLORS",
            "ALARMS",
            "JUDGE",
            "RESTORE_MACHINE_ARN",
            "INFRASTRUCTURE",
        ),
        permissions=(READ_RECORD, REPLACE_IN_RECORD, READ_EXECUTIONS, READ_ALARMS, READ_METRICS),
        reserved_concurrency=2,
    ),
    FunctionSpec(
        module="rollback.stop_deployment",
        description="Stops the deployment that the rollback has taken over from.",
        machines=ROLLBACK,
        timeout_seconds=8,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(UPDATE_RECORD, STOP_DEPLOYMENTS),
    ),
    FunctionSpec(
        module="rollback.record_rollback",
        description="Records what is live after the rollback.",
        machines=ROLLBACK,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "PARAMETERS"),
        permissions=(READ_RECORD, UPDATE_RECORD, REPLACE_IN_RECORD, WRITE_PARAMETERS),
    ),
    FunctionSpec(
        module="rollback.watchdog",
        description="Every minute: starts a rollback for a dead holder or an unheard alarm, and looks at the way back.",
        machines=NO_MACHINE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS", "ROLLBACK_MACHINE_ARN", "ALARMS", "JUDGE"),
        permissions=(
            READ_RECORD,
            REPLACE_IN_RECORD,
            READ_EXECUTIONS,
            START_ROLLBACKS,
            READ_TARGET_HEALTH,
            READ_ALARMS,
            READ_METRICS,
        ),
    ),
    FunctionSpec(
        module="rollback.certify_rollback",
        description="Proves, before anything changes, that every action of a rollback is possible.",
        machines=DEPLOY,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS", "ALARMS", "PARAMETERS", "CERTIFICATE"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            UPDATE_RECORD,
            *READ_LISTENERS,
            READ_TARGET_HEALTH,
            READ_GROUPS,
            READ_ALARMS,
            READ_WAY_BACK,
            *certify("rollback"),
            READ_SUBSCRIPTIONS,
        ),
        certifies="rollback",
    ),
    FunctionSpec(
        module="rollback.certify_restore",
        description="Proves, when a release has its snapshot, that the database could be restored from it.",
        machines=DEPLOY,
        timeout_seconds=60,
        variables=("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "ROUTES", "RESTORE", "CERTIFICATE"),
        permissions=(
            READ_RELEASE,
            UPDATE_RECORD,
            READ_RULES,
            READ_RULE_TAGS,
            READ_GROUPS,
            READ_INSTANCES,
            READ_SNAPSHOTS,
            *READ_PARTS_OF_INSTANCES,
            *LOOK_AROUND_A_RESTORE,
            *certify("restore-database"),
        ),
        certifies="restore-database",
        only_with="restore",
    ),
    FunctionSpec(
        module="database.take_snapshot",
        description="Begins the snapshot of the database, before anything changes.",
        machines=DEPLOY,
        variables=("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "DATABASE"),
        permissions=(UPDATE_RECORD, *TAKE_SNAPSHOTS),
    ),
    FunctionSpec(
        module="database.check_snapshot",
        description="Looks whether the snapshot of the database is complete.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE", "DATABASE"),
        permissions=(UPDATE_RECORD, READ_SNAPSHOTS),
    ),
    FunctionSpec(
        module="database.start_migrations",
        description="Lets the customer's migrations run, which change the schema of the database.",
        machines=DEPLOY,
        timeout_seconds=_LONGEST_SECONDS,
        variables=("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "MIGRATIONS"),
        permissions=(READ_RELEASE, UPDATE_RECORD, *RUN_MIGRATIONS),
        only_with="migrations",
    ),
    FunctionSpec(
        module="database.check_migrations",
        description="Looks whether the migrations of the database have come to their end.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(READ_RELEASE, UPDATE_RECORD, READ_MIGRATIONS),
        only_with="migrations",
    ),
    FunctionSpec(
        module="database.look_at_migrations",
        description="Looks what is left of the migrations of a release that is given up.",
        machines=BOTH,
        variables=("ENVIRONMENT", "RECORD_TABLE", "MIGRATIONS"),
        permissions=(READ_RELEASE, UPDATE_RECORD, FIND_MIGRATIONS),
        only_with="migrations",
    ),
    FunctionSpec(
        module="checks.run_smoke_checks",
        description="Asks a version, or the whole system, what users would ask of it.",
        machines=BOTH | RESTORE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "CHECKS"),
        permissions=(UPDATE_RECORD, READ_SECRETS_OF_CHECKS),
        drivers=True,
    ),
    FunctionSpec(
        module="checks.check_data_stores",
        description="Asks database and cache from inside the VPC.",
        machines=DEPLOY,
        timeout_seconds=60,
        variables=("DATABASE", "CACHE"),
        permissions=(READ_SECRETS_OF_DATA_STORES, CONNECT_TO_NETWORK),
        drivers=True,
        in_vpc=True,
    ),
    FunctionSpec(
        module="checks.check_error_rate",
        description="Looks into the application's log whether a version answers with too many errors.",
        machines=BOTH,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "LOGS"),
        permissions=(UPDATE_RECORD, READ_APPLICATION_LOG),
    ),
    FunctionSpec(
        module="checks.probe",
        description="Every minute: asks what is live what a user would ask, and publishes how it went.",
        machines=NO_MACHINE,
        timeout_seconds=100,
        variables=("SERVICE", "ENVIRONMENT", "CHECKS"),
        permissions=(READ_SECRETS_OF_PROBE,),
        drivers=True,
    ),
    FunctionSpec(
        module="checks.probe_database",
        description="Every minute: asks the database from inside the VPC, and publishes how fast it answers.",
        machines=NO_MACHINE,
        variables=("SERVICE", "ENVIRONMENT", "DATABASE"),
        permissions=(READ_SECRET_OF_DATABASE, CONNECT_TO_NETWORK),
        drivers=True,
        in_vpc=True,
    ),
    FunctionSpec(
        module="judge.check_alarms",
        description="Looks whether a critical alarm is on before a release changes anything.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ALARMS"),
        permissions=(UPDATE_RECORD, READ_ALARMS),
    ),
    FunctionSpec(
        module="judge.judge_bake",
        description="Judges a release that is observed, by alarms and by the requests to both colors.",
        machines=DEPLOY,
        timeout_seconds=15,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS", "RELEASE", "ALARMS", "JUDGE", "LOGS"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            UPDATE_RECORD,
            READ_ALARMS,
            *READ_LISTENERS,
            READ_TARGET_HEALTH,
            READ_SNAPSHOTS,
            *READ_EVIDENCE,
        ),
    ),
    FunctionSpec(
        module="fleet.prepare_idle_color",
        description="Starts to bring the new version up on the color that serves nobody.",
        machines=DEPLOY,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS", "RELEASE", "PARAMETERS"),
        permissions=(
            WRITE_WAY_BACK,
            READ_RECORD,
            READ_RELEASE,
            UPDATE_RECORD,
            REPLACE_IN_RECORD,
            *READ_LISTENERS,
            *WRITE_TEST_ROUTES,
            READ_LAUNCH_TEMPLATES,
            VERSION_LAUNCH_TEMPLATES,
            READ_REFRESHES,
            START_REFRESHES,
            UPDATE_GROUPS,
            *USE_LAUNCH_TEMPLATES,
        ),
    ),
    FunctionSpec(
        module="fleet.check_idle_color",
        description="Looks how far the new version is up and healthy.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS"),
        permissions=(UPDATE_RECORD, READ_REFRESHES, READ_TARGET_HEALTH),
    ),
    FunctionSpec(
        module="fleet.hold_old_color",
        description="Keeps the capacity of the way back for as long as it may be needed.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE", "COLORS"),
        permissions=(READ_RELEASE, UPDATE_RECORD, UPDATE_GROUPS, SUSPEND_SCALING),
    ),
    FunctionSpec(
        module="fleet.resume_scaling",
        description="Lets the color that serves scale again as before.",
        machines=BOTH,
        variables=("ENVIRONMENT", "RECORD_TABLE", "COLORS"),
        permissions=(READ_RECORD, READ_RELEASE, UPDATE_RECORD, UPDATE_GROUPS, RESUME_SCALING),
    ),
    FunctionSpec(
        module="fleet.scale_back_idle_color",
        description="Leaves the idle color as it was found, after a release that was given up before traffic moved.",
        machines=BOTH,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS"),
        permissions=(
            READ_RELEASE,
            UPDATE_RECORD,
            *READ_LISTENERS,
            CANCEL_REFRESHES,
            UPDATE_GROUPS,
            *USE_LAUNCH_TEMPLATES,
        ),
    ),
    FunctionSpec(
        module="fleet.scale_in_old_color",
        description="Makes the old color as small as an idle color is, once nobody can go back to it.",
        machines=CLEAN_UP,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS", "PARAMETERS"),
        permissions=(READ_RELEASE, UPDATE_RECORD, *READ_LISTENERS, WRITE_WAY_BACK, UPDATE_GROUPS, RESUME_SCALING),
    ),
    FunctionSpec(
        module="traffic.switch_listener",
        description="Divides traffic between the two colors, only while its execution holds the environment.",
        machines=BOTH,
        timeout_seconds=8,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            UPDATE_RECORD,
            REPLACE_IN_RECORD,
            *READ_LISTENERS,
            READ_TARGET_HEALTH,
            *WRITE_LIVE_ROUTES,
            *WRITE_TEST_ROUTES,
        ),
        reserved_concurrency=2,
    ),
    FunctionSpec(
        module="traffic.settle",
        description="Undoes what the execution that lost the environment may still have written.",
        machines=ROLLBACK,
        timeout_seconds=8,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES"),
        permissions=(READ_RECORD, UPDATE_RECORD, *READ_LISTENERS, *WRITE_LIVE_ROUTES),
        reserved_concurrency=2,
    ),
    FunctionSpec(
        module="traffic.freeze_traffic",
        description="Answers every request of users with 503 while the database is exchanged.",
        machines=RESTORE,
        timeout_seconds=8,
        variables=("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "ROUTES"),
        permissions=(UPDATE_RECORD, READ_RULES, READ_RULE_TAGS, *FREEZE_LISTENERS),
    ),
    FunctionSpec(
        module="traffic.thaw_traffic",
        description="Takes away what has frozen the traffic.",
        machines=RESTORE,
        timeout_seconds=8,
        variables=("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "ROUTES"),
        permissions=(UPDATE_RECORD, READ_RULES, READ_RULE_TAGS, THAW_LISTENERS),
    ),
    FunctionSpec(
        module="traffic.point_test_listener",
        description="Lets checks reach the color that serves while no user can.",
        machines=RESTORE,
        timeout_seconds=8,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES"),
        permissions=(UPDATE_RECORD, *READ_LISTENERS, *WRITE_TEST_ROUTES),
    ),
    FunctionSpec(
        module="fleet.hold_capacity",
        description="Keeps what serves as large as it is while traffic is frozen.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "COLORS", "RESTORE"),
        permissions=(READ_RELEASE, UPDATE_RECORD, READ_GROUPS, *HOLD_GROUPS),
    ),
    FunctionSpec(
        module="fleet.give_capacity_back",
        description="Lets what serves scale again as before a freeze.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(READ_RELEASE, UPDATE_RECORD, *GIVE_GROUPS_BACK),
    ),
    FunctionSpec(
        module="fleet.restart_application",
        description="Begins to replace every instance that knows the wrong database.",
        machines=RESTORE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "COLORS", "RELEASE", "RESTORE"),
        permissions=(READ_RELEASE, UPDATE_RECORD, READ_REFRESHES, RESTART_GROUPS),
    ),
    FunctionSpec(
        module="fleet.check_restart",
        description="Looks how far the application is restarted.",
        machines=RESTORE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "COLORS", "RESTORE"),
        permissions=(
            READ_RELEASE,
            UPDATE_RECORD,
            READ_REFRESHES,
            READ_GROUPS,
            READ_TARGET_HEALTH,
            READ_EC2_INSTANCES,
        ),
    ),
    FunctionSpec(
        module="database.plan_restore",
        description="Works out what a restore of the database would lose, and what could be done instead.",
        machines=RESTORE,
        timeout_seconds=60,
        variables=("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "RESTORE"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            REPLACE_IN_RECORD,
            READ_EXECUTIONS,
            READ_INSTANCES,
            READ_SNAPSHOTS,
            READ_SHARED_SNAPSHOTS,
        ),
    ),
    FunctionSpec(
        module="database.ask_approval",
        description="Keeps what lets a restore go on that waits for approval.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(UPDATE_RECORD,),
    ),
    FunctionSpec(
        module="database.copy_snapshot",
        description="Begins to copy a snapshot that another account shares.",
        machines=RESTORE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "DATABASE"),
        permissions=(READ_RELEASE, READ_INSTANCES, READ_SHARED_SNAPSHOTS, *COPY_SHARED_SNAPSHOTS),
    ),
    FunctionSpec(
        module="database.check_copied_snapshot",
        description="Looks whether that copy is complete.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(READ_RELEASE, READ_SNAPSHOTS),
    ),
    FunctionSpec(
        module="database.claim_restore",
        description="Takes the environment for an approved restore.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            UPDATE_RECORD,
            REPLACE_IN_RECORD,
            READ_EXECUTIONS,
            *READ_LISTENERS,
        ),
    ),
    FunctionSpec(
        module="database.fence_writers",
        description="Shuts out of the database whoever writes to it.",
        machines=RESTORE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "RESTORE"),
        permissions=(UPDATE_RECORD, READ_SECRET_OF_ADMINISTRATOR, CONNECT_TO_NETWORK),
        drivers=True,
        in_vpc=True,
    ),
    FunctionSpec(
        module="database.lift_fence",
        description="Lets those log in to the database again who were shut out.",
        machines=RESTORE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "RESTORE"),
        permissions=(UPDATE_RECORD, READ_SECRET_OF_ADMINISTRATOR, CONNECT_TO_NETWORK),
        drivers=True,
        in_vpc=True,
    ),
    FunctionSpec(
        module="database.take_safety_snapshot",
        description="Begins a snapshot of the database that serves, before another one takes its place.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "DATABASE"),
        permissions=(UPDATE_RECORD, *TAKE_SAFETY_SNAPSHOTS),
    ),
    FunctionSpec(
        module="database.check_safety_snapshot",
        description="Looks whether that snapshot is complete.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(UPDATE_RECORD, READ_SNAPSHOTS, *TAKE_SAFETY_SNAPSHOTS),
    ),
    FunctionSpec(
        module="database.restore_instance",
        description="Begins to make a new instance of what is to come back.",
        machines=RESTORE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(
            UPDATE_RECORD,
            READ_INSTANCES,
            READ_SNAPSHOTS,
            *RESTORE_INSTANCES,
            PASS_DATABASE_ROLES,
            USE_DATABASE_KEYS,
        ),
    ),
    FunctionSpec(
        module="database.check_restored_instance",
        description="Looks whether the restored instance is there, and like the one that serves.",
        machines=RESTORE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(
            UPDATE_RECORD,
            READ_INSTANCES,
            MODIFY_INSTANCES,
            MAKE_MASTER_SECRETS,
            PASS_DATABASE_ROLES,
            USE_DATABASE_KEYS,
        ),
    ),
    FunctionSpec(
        module="database.set_master_password",
        description="Gives a restored instance the administrator's present password.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "RESTORE"),
        permissions=(UPDATE_RECORD, READ_INSTANCES, *SET_MASTER_PASSWORDS),
    ),
    FunctionSpec(
        module="database.verify_restored_data",
        description="Makes sure that the application can go on with the restored database.",
        machines=RESTORE,
        timeout_seconds=_LONGEST_SECONDS,
        variables=("ENVIRONMENT", "RECORD_TABLE", "RESTORE"),
        permissions=(UPDATE_RECORD, READ_SECRETS_OF_RESTORE, CONNECT_TO_NETWORK),
        drivers=True,
        in_vpc=True,
    ),
    FunctionSpec(
        module="database.count_lost_writes",
        description="Counts and exports the rows that a restore loses.",
        machines=RESTORE,
        timeout_seconds=_LONGEST_SECONDS,
        variables=("ENVIRONMENT", "RECORD_TABLE", "RESTORE"),
        permissions=(UPDATE_RECORD, READ_SECRET_OF_ADMINISTRATOR, WRITE_EXPORTS, CONNECT_TO_NETWORK),
        drivers=True,
        in_vpc=True,
    ),
    FunctionSpec(
        module="database.swap_connection",
        description="Points the application's secret at another database, or back.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "RESTORE"),
        permissions=(READ_RELEASE, UPDATE_RECORD, SWAP_CONNECTION),
    ),
    FunctionSpec(
        module="database.record_restore",
        description="Writes down how a restore ended, and lets the environment go.",
        machines=RESTORE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "RESTORE", "PARAMETERS"),
        permissions=(READ_RECORD, READ_RELEASE, UPDATE_RECORD, REPLACE_IN_RECORD, WRITE_WAY_BACK),
    ),
    FunctionSpec(
        module="infrastructure.start_plan",
        description="Has Terraform plan what a version changes, with rights to read.",
        machines=BOTH,
        variables=("INFRASTRUCTURE",),
        permissions=(PLAN_INFRASTRUCTURE,),
        only_with="infrastructure",
    ),
    FunctionSpec(
        module="infrastructure.check_plan",
        description="Inspects the plan, and refuses one that would do what no release may.",
        machines=BOTH,
        variables=("ENVIRONMENT", "RECORD_TABLE", "INFRASTRUCTURE"),
        permissions=(UPDATE_RECORD, *READ_PLANS),
        only_with="infrastructure",
    ),
    FunctionSpec(
        module="infrastructure.start_apply",
        description="Has Terraform apply exactly the plan that was inspected.",
        machines=BOTH,
        variables=("ENVIRONMENT", "RECORD_TABLE", "INFRASTRUCTURE"),
        permissions=(READ_RELEASE, UPDATE_RECORD, APPLY_INFRASTRUCTURE),
        only_with="infrastructure",
    ),
    FunctionSpec(
        module="infrastructure.check_apply",
        description="Looks whether the plan is applied.",
        machines=BOTH,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(READ_RELEASE, UPDATE_RECORD, READ_APPLIES),
        only_with="infrastructure",
    ),
    FunctionSpec(
        module="infrastructure.check_unfinished_apply",
        description="Looks whether Terraform applies something still for a release that is given up.",
        machines=BOTH,
        variables=("ENVIRONMENT", "RECORD_TABLE", "INFRASTRUCTURE"),
        permissions=(READ_RECORD, READ_RELEASE, UPDATE_RECORD, FIND_APPLIES),
        only_with="infrastructure",
    ),
    FunctionSpec(
        module="gates.check_commit",
        description="Looks at the gates of a release that are about its commit.",
        machines=DEPLOY,
        timeout_seconds=25,
        variables=("GATES", "GITHUB"),
        permissions=READ_GATED_COMMITS,
        drivers=True,
        only_with="gates",
    ),
    FunctionSpec(
        module="gates.check_infrastructure",
        description="Looks at the gates of a release that are about what the environment stands on.",
        machines=DEPLOY,
        timeout_seconds=25,
        variables=("ENVIRONMENT", "RECORD_TABLE", "GATES", "ALARMS", "DATABASE", "ROUTES"),
        permissions=(READ_RELEASE, READ_ALARMS, *READ_FOUNDATIONS),
        only_with="gates",
    ),
    FunctionSpec(
        module="gates.check_operations",
        description="Looks at the gates of a release that are about time and people.",
        machines=DEPLOY,
        timeout_seconds=25,
        variables=("ENVIRONMENT", "RECORD_TABLE", "GATES", "TOPIC_ARN"),
        permissions=(READ_RECORD, READ_CALENDARS, READ_SUBSCRIPTIONS),
        only_with="gates",
    ),
    FunctionSpec(
        module="gates.decide_gates",
        description="Decides from all results whether a release goes on, waits or is refused.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE", "GATES"),
        permissions=(READ_RELEASE, UPDATE_RECORD),
        only_with="gates",
    ),
    FunctionSpec(
        module="github.take_push",
        description="Judges a push, and has it wait for its release if it is the newest.",
        machines=PUSH,
        variables=("ENVIRONMENT", "RECORD_TABLE", "PUSHES", "GITHUB"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            FIND_IN_RECORD,
            REPLACE_IN_RECORD,
            READ_RECORD_BEFORE,
            READ_PUSHES,
            READ_TOKEN_OF_GITHUB,
        ),
        drivers=True,
        only_with="pushes",
    ),
    FunctionSpec(
        module="github.start_release",
        description="Starts the release of the push that waits, when the environment is free for it.",
        machines=PUSH,
        variables=("ENVIRONMENT", "RECORD_TABLE", "RELEASE", "PUSHES", "GITHUB", "DEPLOY_MACHINE_ARN"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            FIND_IN_RECORD,
            REPLACE_IN_RECORD,
            READ_RECORD_BEFORE,
            START_RELEASES,
            READ_TOKEN_OF_GITHUB,
        ),
        drivers=True,
        only_with="pushes",
    ),
    FunctionSpec(
        module="github.check_release",
        description="Looks whether a release that a push has started has ended, and how.",
        machines=PUSH,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(READ_RECORD, READ_RELEASE, REPLACE_IN_RECORD, READ_RELEASES_OF_PUSHES),
        only_with="pushes",
    ),
    FunctionSpec(
        module="github.reconcile",
        description="Every few minutes: finds a push that nobody has told of, or that nobody takes care of.",
        machines=NO_MACHINE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "PUSHES", "GITHUB", "PUSH_MACHINE_ARN"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            FIND_IN_RECORD,
            REPLACE_IN_RECORD,
            READ_RECORD_BEFORE,
            READ_PUSHES,
            START_PUSHES,
            READ_TOKEN_OF_GITHUB,
        ),
        drivers=True,
        only_with="pushes",
    ),
    FunctionSpec(
        module="github.report_status",
        description="Tells GitHub where releases stand.",
        machines=NO_MACHINE,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "RECORD_TABLE", "GITHUB", "REPORTS"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            UPDATE_RECORD,
            REPLACE_IN_RECORD,
            READ_DEPLOYMENTS,
            READ_TOKEN_OF_GITHUB,
        ),
        reserved_concurrency=1,
        drivers=True,
        only_with="github",
    ),
    FunctionSpec(
        module="gates.ask_release_approval",
        description="Asks people whether a release may begin, and keeps what lets it go on.",
        machines=DEPLOY,
        variables=(
            *("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "RELEASE", "DATABASE", "GITHUB"),
            *("TOPIC_ARN", "APPROVAL_MINUTES", "APPROVAL_URL"),
        ),
        permissions=(READ_RECORD, READ_RELEASE, UPDATE_RECORD, READ_TOKEN_OF_GITHUB, PUBLISH_NOTICES),
        drivers=True,
        only_with="release_approval",
    ),
    FunctionSpec(
        module="gates.end_release_approval",
        description="Writes down that a release does not begin, for want of an approval.",
        machines=DEPLOY,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(READ_RELEASE, UPDATE_RECORD),
        only_with="release_approval",
    ),
    FunctionSpec(
        module="operate.give_order",
        description="Carries out what an operator orders, if it fits what the environment is doing.",
        machines=OPERATE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "RELEASE", "DATABASE"),
        permissions=(READ_RECORD, READ_RELEASE, UPDATE_RECORD, REPLACE_IN_RECORD, CHECK_RECORD),
    ),
    FunctionSpec(
        module="operate.answer_approval",
        description="Lets begin what waits for a human, a release or a restore of the database, or not.",
        machines=OPERATE,
        variables=("ENVIRONMENT", "RECORD_TABLE"),
        permissions=(READ_RELEASE, UPDATE_RECORD, READ_EXECUTIONS, ANSWER_TASKS),
    ),
    FunctionSpec(
        module="operate.answer_by_url",
        description="Takes an approver's signed answer, but not from who has asked for what waits for it.",
        machines=NO_MACHINE,
        timeout_seconds=15,
        variables=("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "APPROVERS", "TOPIC_ARN"),
        permissions=(READ_RELEASE, UPDATE_RECORD, READ_EXECUTIONS, ANSWER_TASKS, PUBLISH_NOTICES),
        only_with="approval",
    ),
    FunctionSpec(
        module="operate.note_caller",
        description="Writes down who has started an execution, when CloudTrail tells it.",
        machines=NO_MACHINE,
        variables=("SERVICE", "ENVIRONMENT", "RECORD_TABLE", "TOPIC_ARN"),
        permissions=(READ_RELEASE, UPDATE_RECORD, REPLACE_IN_RECORD, PUBLISH_NOTICES),
        only_with="approval",
    ),
    FunctionSpec(
        module="operate.free_environment",
        description="Takes the environment from an execution that is dead.",
        machines=OPERATE,
        variables=("ENVIRONMENT", "RECORD_TABLE", "ROUTES", "PARAMETERS"),
        permissions=(
            READ_RECORD,
            READ_RELEASE,
            UPDATE_RECORD,
            REPLACE_IN_RECORD,
            READ_EXECUTIONS,
            *READ_LISTENERS,
            WRITE_PARAMETERS,
        ),
    ),
    FunctionSpec(
        module="notices.notify",
        description="Tells humans what happened, and the way back when Runback could not finish.",
        machines=WHO_TELLS,
        variables=("ENVIRONMENT", "SERVICE", "TOPIC_ARN", "PARAMETERS", "REPORTS", "APPROVAL_URL"),
        permissions=(PUBLISH_NOTICES, READ_WAY_BACK),
    ),
    FunctionSpec(
        module="notices.tell_alarm",
        description="Tells humans of an alarm that warns.",
        machines=NO_MACHINE,
        variables=("ENVIRONMENT", "SERVICE", "RECORD_TABLE", "TOPIC_ARN"),
        permissions=(PUBLISH_NOTICES, READ_RECORD),
    ),
    FunctionSpec(
        module="reports.write_report",
        description="Writes what became of a release, as a page in the bucket of the reports.",
        machines=REPORT,
        timeout_seconds=60,
        variables=("ENVIRONMENT", "SERVICE", "RECORD_TABLE", "ROUTES", "REPORTS"),
        permissions=(READ_RELEASE, UPDATE_RECORD, READ_HISTORIES, READ_METRICS, WRITE_REPORTS),
    ),
)


def _restore(settings: EnvironmentSettings) -> str:
    """Return all that a restore has to know: its settings, where exports go, and which database is meant."""
    if settings.restore is None:
        raise ValueError(f"{settings.prefix} has no settings of a restore, so no function may need them")
    database = settings.database.model_dump(include={"instance", "host", "port", "name", "ca_file"})
    return _json({**settings.restore.model_dump(), "bucket": settings.exports_bucket, "database": database})


def _infrastructure(settings: EnvironmentSettings) -> str:
    """Return what the functions of the room infrastructure are told; empty where there is nothing to plan."""
    infrastructure = settings.infrastructure
    if infrastructure is None:
        return ""
    names = Names(settings)
    return _json(
        {
            "plan_project": names.named(PLAN),
            "apply_project": names.named(APPLY),
            "bucket": settings.plans_bucket,
            "timeout_seconds": infrastructure.timeout_minutes * 60,
            "may_destroy": infrastructure.may_destroy,
            "rollback_targets": infrastructure.rollback_targets,
            "protected": sorted(_connections(settings)),
        }
    )


def _pushes(settings: EnvironmentSettings) -> str:
    """Return what the functions that take pushes are told; empty where nothing starts a release by itself."""
    pushes, github = settings.pushes, settings.github
    if pushes is None or github is None:
        return ""
    after = pushes.after or ""
    return _json(
        {
            **pushes.model_dump(include={"starts", "ref"}),
            "after": after,
            "after_table": Names(settings).record_table_of(after) if after else "",
            "repository_id": github.repository_id,
        }
    )


def _connections(settings: EnvironmentSettings) -> set[str]:
    """Return the names and ARNs of what tells the application, checks and tools what to connect to."""
    secrets = {settings.database.secret_arn}
    if settings.restore:
        secrets |= {settings.restore.application_secret_arn, settings.restore.administrator_secret_arn}
    parameters = settings.parameters.model_dump().values()
    # the name of a secret is its ARN's end without the hyphen and the six characters that AWS adds
    return {*secrets, *(each.split(":", 6)[6][:-7] for each in secrets), *parameters, settings.way_back_parameter}


VARIABLES: Mapping[str, Callable[[EnvironmentSettings], str]] = {
    "ENVIRONMENT": lambda settings: settings.environment,
    "SERVICE": lambda settings: settings.service,
    "RECORD_TABLE": lambda settings: Names(settings).record_table,
    "ROUTES": lambda settings: _json([route.model_dump() for route in settings.routes]),
    "COLORS": lambda settings: _json(
        {
            color: settings.colors.of(color).model_dump(include={"auto_scaling_group", "launch_template_id"})
            for color in COLORS
        }
    ),
    "RELEASE": lambda settings: _json(settings.release.model_dump()),
    "DATABASE": lambda settings: _json(settings.database.model_dump()),
    "RESTORE": _restore,
    "INFRASTRUCTURE": _infrastructure,
    "MIGRATIONS": lambda settings: _json(settings.migrations.model_dump()) if settings.migrations else "",
    "GITHUB": lambda settings: _json(settings.github.model_dump()) if settings.github else "",
    "GATES": lambda settings: _json(gates_variable(settings)) if settings.gates else "",
    "SKIPPABLE": lambda settings: _json(skippable_gates(settings)),
    "RESTORE_MACHINE_ARN": lambda settings: Names(settings).machine_arn("restore-database") if settings.restore else "",
    "CACHE": lambda settings: _json(settings.cache.model_dump()),
    "CHECKS": lambda settings: _json(settings.checks.model_dump(exclude_defaults=True)),
    "LOGS": lambda settings: _json(settings.logs.model_dump()),
    "PARAMETERS": lambda settings: _json(
        {**settings.parameters.model_dump(), "way_back": settings.way_back_parameter},
    ),
    "REPORTS": lambda settings: _json({"bucket": settings.reports_bucket, "url": Names(settings).reports_url}),
    "ALARMS": lambda settings: _json({"prefix": settings.prefix, "critical": critical_alarms(settings)}),
    "JUDGE": lambda settings: _json(settings.judge.model_dump()),
    "CERTIFICATE": lambda settings: _json({"file": CERTIFICATE_FILE, "enforce": settings.certificate.enforce}),
    "APPROVERS": lambda settings: _json(settings.approval.approver_arns if settings.approval else []),
    # Lambda makes the URL; `cdk/approval.py` puts it here where there is one
    "APPROVAL_URL": lambda _: "",
    "APPROVAL_MINUTES": lambda settings: str(
        settings.release_approval.release_minutes if settings.release_approval else 0
    ),
    "TOPIC_ARN": lambda settings: Names(settings).topic_arn,
    "ROLLBACK_MACHINE_ARN": lambda settings: Names(settings).machine_arn("rollback"),
    "PUSHES": _pushes,
    "DEPLOY_MACHINE_ARN": lambda settings: Names(settings).machine_arn("deploy"),
    "PUSH_MACHINE_ARN": lambda settings: Names(settings).machine_arn("push"),
}


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


class Functions(Construct):
    """
    All functions of one environment, on the same code, each with a role of its own.

    Callers get published versions, and old versions are kept: an update of Runback never changes the code under an
    execution that is under way.
    """

    def __init__(self, scope: Construct, construct_id: str, settings: EnvironmentSettings) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._names = Names(settings)
        self._code = function_code()
        self._libraries = libraries(self, "Libraries", "Powertools for AWS Lambda, for Runback's functions", "layer")
        self._drivers = libraries(
            self, "Drivers", "Clients of HTTP, PostgreSQL and Redis, for Runback's checks", "drivers"
        )
        self._specs = [spec for spec in FUNCTIONS if spec.is_part_of(settings)]
        self._roles: dict[str, iam.Role] = {}
        self._functions = {spec.module: self._function(spec) for spec in self._specs}

    def version(self, module: str) -> lambda_.IFunction:
        """Return the published version of the function at a module, such as "rollback.watchdog"."""
        return self._functions[module].current_version

    def unpublished(self, module: str) -> lambda_.Function:
        """Return the function at a module itself, which has its present code, whichever that is."""
        return self._functions[module]

    def role(self, module: str) -> iam.IRole:
        """Return the role of the function at a module."""
        return self._roles[module]

    def of_machine(self, machine: str) -> dict[str, lambda_.IFunction]:
        """Return the published versions that a machine calls, by module."""
        return {spec.module: self.version(spec.module) for spec in self._specs if machine in spec.machines}

    def allow_calls(self, machine: str, caller: sfn.StateMachine) -> None:
        """
        Let a machine call its functions in every version, old ones included.

        An execution that began before an update of Runback goes on with the versions of its time.
        """
        for spec in self._specs:
            if machine in spec.machines:
                self._functions[spec.module].grant_invoke(caller)
                acknowledge_versions(caller, self._functions[spec.module])

    def allow_simulation(self, machine: str, caller: sfn.StateMachine, *starters: iam.IRole) -> None:
        """Let whoever certifies a machine ask what its role may do, and those of its functions and its starters."""
        (certifier,) = [spec for spec in self._specs if spec.certifies == machine]
        functions = [self._roles[spec.module] for spec in certified(self._specs, machine)]
        roles = [role.role_arn for role in (caller.role, *starters, *functions)]
        self._roles[certifier.module].add_to_policy(
            iam.PolicyStatement(actions=["iam:SimulatePrincipalPolicy"], resources=roles)
        )

    def _function(self, spec: FunctionSpec) -> lambda_.Function:
        shape = Shape(
            self._names.named(spec.name), spec.description, spec.module, spec.timeout_seconds, spec.reserved_concurrency
        )
        log = make_log(self, shape)
        self._roles[spec.module] = self._role(f"{shape.construct_id}Role", spec, log)
        function = make_function(
            self,
            shape,
            log=log,
            role=self._roles[spec.module].without_policy_updates(),
            code=self._code_of(spec),
            layers=[self._libraries, *([self._drivers] if spec.drivers else [])],
            variables={name: VARIABLES[name](self._settings) for name in spec.variables},
            called=self._settings.prefix,
        )
        if spec.in_vpc:
            self._connect_to_network(function)
        return function

    def _code_of(self, spec: FunctionSpec) -> lambda_.AssetCode:
        """One code for all; who certifies has a file beside it, which alone differs from environment to environment."""
        if not spec.certifies:
            return self._code
        return function_code({CERTIFICATE_FILE: certificate(self._settings, self._specs, spec.certifies)})

    def _connect_to_network(self, function: lambda_.Function) -> None:
        """Name subnets and groups alone: CDK's own way needs a VPC that it looks up in the account."""
        network = self._settings.network
        bare = cast("lambda_.CfnFunction", function.node.default_child)
        bare.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=list(network.subnet_ids), security_group_ids=list(network.security_group_ids)
        )

    def _role(self, construct_id: str, spec: FunctionSpec, log_group: logs.LogGroup) -> iam.Role:
        """
        Make a role that may do what the table says, write its own log, and nothing else.

        Its rights are a part of it: as policies of their own they would be a fifth of all that a stack may hold.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
        """
        rights = iam.PolicyDocument()
        role = iam.Role(
            self,
            construct_id,
            description=f"{self._names.named(spec.name)}: {spec.description}",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            inline_policies={"Rights": rights},
        )
        rights.add_statements(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log_group.log_group_arn]
            ),
            iam.PolicyStatement(actions=["xray:PutTelemetryRecords", "xray:PutTraceSegments"], resources=["*"]),
        )
        acknowledge_tracing(role)
        for permission in spec.permissions:
            self._grant(role, rights, permission)
        if spec.in_vpc:
            rights.add_statements(self._no_interfaces_for_its_code(spec))
        return role

    def _grant(self, role: iam.Role, rights: iam.PolicyDocument, permission: Permission) -> None:
        for statement in permission.statements(self._settings):
            rights.add_statements(statement)
            for resource in (each for each in statement.resources if "*" in each):
                acknowledge_star(role, resource, permission.why_star)

    def _no_interfaces_for_its_code(self, spec: FunctionSpec) -> iam.PolicyStatement:
        """Deny to the function what only Lambda needs, as in the user guide beside CONNECT_TO_NETWORK."""
        arn = self._settings.arn("lambda", f"function:{self._names.named(spec.name)}")
        return iam.PolicyStatement(
            effect=iam.Effect.DENY,
            actions=list(CONNECT_TO_NETWORK.actions),
            resources=["*"],
            conditions={"ArnEquals": {"lambda:SourceFunctionArn": [arn]}},
        )
