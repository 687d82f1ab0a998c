"""Whoever mistypes a setting learns where and what to write, before anything is built."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.functions import VARIABLES
from cdk.settings import EnvironmentSettings, SettingsError, load_settings

HERE = "arn:aws:elasticloadbalancing:eu-west-1:111122223333"
LIVE = f"{HERE}:listener/app/receipt-vault-production/50dc6c495c0c9188/f2f7dc8efc522ab2"
TEST = f"{HERE}:listener/app/receipt-vault-production/50dc6c495c0c9188/9c2ab1d7e04f6a35"
BLUE = f"{HERE}:targetgroup/receipt-vault-production-blue/73e2d6bc24d8a067"
RULE = LIVE.replace(":listener/", ":listener-rule/") + "/8a1b2c3d4e5f6071"

SECRETS = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipt-vault/production"
API = "https://api.receiptvault.pro"

TOO_LONG = "release: may take {} s, which is {} events of Step Functions, and 20000 are allowed: shorten one of "
GATES = "gates.wait_minutes, before and after an approval (7200 s)"
WAITS = "database.snapshot_timeout_seconds (3600 s), release.prepare_timeout_seconds (1800 s)"
HOOKS = "infrastructure.timeout_minutes, twice (4800 s), migrations.timeout_minutes, twice (1200 s)"
BAKES = "release.steps with judge.longest_extension_seconds each (4200 s)"
PAUSE = "release.longest_pause_seconds (3600 s)"

Edit = Callable[[str], str]


def replacing(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def in_check(name: str, *lines: str) -> Edit:
    """Return what adds lines to the check of this name; several checks may have it, and the last one gets them."""

    def edit(text: str) -> str:
        before, mark, after = text.rpartition(f'name = "{name}"\n')
        assert mark
        return before + mark + "".join(f"{line}\n" for line in lines) + after

    return edit


def load_edited(tmp_path: Path, edit: Edit, name: str = "production") -> EnvironmentSettings:
    original = (SETTINGS_FOLDER / "production.toml").read_text(encoding="utf-8")
    (tmp_path / f"{name}.toml").write_text(edit(original), encoding="utf-8")
    shutil.copytree(SETTINGS_FOLDER / "files", tmp_path / "files", dirs_exist_ok=True)
    (settings,) = load_settings(tmp_path)
    return settings


def test_the_shipped_settings_are_valid() -> None:
    production, staging = load_settings(SETTINGS_FOLDER)

    assert (production.prefix, staging.prefix) == ("receipt-vault-production", "receipt-vault-staging")


def test_production_ships_with_canary_half_and_an_hour_to_go_back() -> None:
    """These numbers are a promise of the operator guide."""
    (production,) = load_settings(SETTINGS_FOLDER, ("production",))

    assert [(step.weight, step.bake_seconds) for step in production.release.steps] == [
        (10, 300),
        (50, 300),
        (100, 1800),
    ]
    assert production.release.rollback_window_seconds == 3600


def test_a_release_is_as_careful_as_production_unless_it_says_otherwise(tmp_path: Path) -> None:
    def shortened(text: str) -> str:
        kept = (
            line
            for line in text.splitlines()
            if not line.startswith(("prepare_", "rollback_", "next_release", "longest_"))
        )
        return "\n".join(kept)

    release = load_edited(tmp_path, shortened).release

    assert (
        release.prepare_timeout_seconds,
        release.rollback_window_seconds,
        release.next_release_in_window,
        release.longest_pause_seconds,
    ) == (1800, 3600, "refuse", 3600)


@pytest.mark.parametrize(("choice", "longest"), [("refuse", 40800), ("expire", 40800), ("wait", 44400)])
def test_a_release_is_given_the_time_in_which_it_waits_for_a_window(tmp_path: Path, choice: str, longest: int) -> None:
    """Its execution would otherwise be ended in the middle of the release."""
    settings = load_edited(tmp_path, replacing('"refuse"', f'"{choice}"'))

    assert settings.longest_release.seconds == longest


def test_a_route_may_be_a_rule_instead_of_a_listener(tmp_path: Path) -> None:
    settings = load_edited(tmp_path, replacing(f'listener_arn = "{LIVE}"', f'rule_arn = "{RULE}"'))

    assert settings.routes[0].rule_arn == RULE
    assert settings.routes[0].listener_arn is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [("", ["health", "login", "upload"]), ('probe = ["upload", "health"]\n', ["health", "upload"])],
)
def test_every_smoke_check_is_probed_unless_settings_say_which(tmp_path: Path, line: str, expected: list[str]) -> None:
    settings = load_edited(tmp_path, replacing("allowed_hosts = [", f"{line}allowed_hosts = ["))

    assert [check.name for check in settings.checks.probed] == expected


MIGRATE = "arn:aws:lambda:eu-west-1:111122223333:function:receipt-vault-production-migrate"
MISTAKES = {
    "a setting is missing": (replacing('region = "eu-west-1"\n', ""), "region: is missing: add it"),
    "a setting is misspelt": (
        replacing("prepare_timeout_seconds", "prepare_timeout_second"),
        (
            "release.prepare_timeout_second: is not a setting of Runback: remove it, or did you mean "
            "'prepare_timeout_seconds'?"
        ),
    ),
    "a setting in a list of tables is misspelt": (
        replacing("green = ", "grean = "),
        "routes[0].grean: is not a setting of Runback: remove it, or did you mean 'green'?",
    ),
    "an account lost its quotes": (
        replacing('account = "111122223333"', "account = 111122223333"),
        "account: must be text in quotes, not 111122223333",
    ),
    "an account is too short": (
        replacing('account = "111122223333"', 'account = "1111"'),
        """account: must be an AWS account of twelve digits, such as "111122223333", not '1111'""",
    ),
    "a Region is none": (
        replacing('region = "eu-west-1"', 'region = "Ireland"'),
        """region: must be an AWS Region, such as "eu-west-1", not 'Ireland'""",
    ),
    "a service has capitals": (
        replacing('service = "receipt-vault"', 'service = "Receipt Vault"'),
        "service: must be lower-case letters, digits and hyphens, not 'Receipt Vault'",
    ),
    "names would become too long for AWS": (
        replacing('service = "receipt-vault"', f'service = "{"receipt-" * 5}vault"'),
        (
            'service: "receipt-receipt-receipt-receipt-receipt-vault-production" has 56 characters; with the '
            "environment at most 32, because S3 allows 63 in the name of the bucket with reports, "
            '"receipt-receipt-receipt-receipt-receipt-vault-production-reports-111122223333-eu-west-1"'
        ),
    ),
    "the environment is not its file": (
        replacing('environment = "production"', 'environment = "staging"'),
        """environment: must be the name of its file, "production", not 'staging'""",
    ),
    "a target group stands where a listener belongs": (
        replacing(LIVE, BLUE),
        (
            "routes[0].listener_arn: must be the ARN of an Application Load Balancer's listener "
            f"(…:listener/app/<name>/<id>/<id>), not '{BLUE}'"
        ),
    ),
    "a listener stands where a target group belongs": (
        replacing(BLUE, LIVE),
        f"routes[0].blue: must be the ARN of a target group (…:targetgroup/<name>/<id>), not '{LIVE}'",
    ),
    "a listener stands where a rule belongs": (
        replacing("test_listener_arn", "test_rule_arn"),
        (
            "routes[0].test_rule_arn: must be the ARN of a listener's rule "
            f"(…:listener-rule/app/<name>/<id>/<id>/<id>), not '{TEST}'"
        ),
    ),
    "a route has a listener and a rule": (
        replacing('name = "api"', f'name = "api"\nrule_arn = "{RULE}"'),
        "routes[0].listener_arn: give exactly one of listener_arn and rule_arn, not both",
    ),
    "a route has no test listener": (
        replacing(f'test_listener_arn = "{TEST}"\n', ""),
        "routes[0].test_listener_arn: give exactly one of test_listener_arn and test_rule_arn, not neither",
    ),
    "a listener is live and for tests": (
        replacing(TEST, LIVE),
        "routes[0].test_listener_arn: is used more than once: every route needs a listener or rule of its own",
    ),
    "both colors are one target group": (
        replacing("receipt-vault-production-green/d1b0f4a96c3e5728", "receipt-vault-production-blue/73e2d6bc24d8a067"),
        "routes[0].green: must be another target group than blue",
    ),
    "both colors are one Auto Scaling group": (
        replacing(
            'auto_scaling_group = "receipt-vault-production-green"',
            'auto_scaling_group = "receipt-vault-production-blue"',
        ),
        "colors.green.auto_scaling_group: must be another one than that of blue",
    ),
    "both colors are one launch template": (
        replacing("lt-0b31da76172f75bcd", "lt-0a20c965061f64abc"),
        "colors.green.launch_template_id: must be another one than that of blue",
    ),
    "a listener is in another Region": (
        replacing(LIVE, LIVE.replace("eu-west-1", "us-east-1")),
        "routes[0].listener_arn: is in aws us-east-1 111122223333, but this environment in aws eu-west-1 111122223333",
    ),
    "a target group is in another account": (
        replacing(BLUE, BLUE.replace("111122223333", "444455556666")),
        "routes[0].blue: is in aws eu-west-1 444455556666, but this environment in aws eu-west-1 111122223333",
    ),
    "an instance role is in another account": (
        replacing("arn:aws:iam::111122223333", "arn:aws:iam::444455556666"),
        "colors.blue.instance_role_arn: is a role of account 444455556666, but this environment is in 111122223333",
    ),
    "the last step leaves traffic behind": (
        replacing("weight = 100", "weight = 90"),
        "release.steps: the last step must have weight 100, not 90",
    ),
    "a step goes backwards": (
        replacing("weight = 50", "weight = 10"),
        "release.steps[1].weight: must be more than the 10 of the step before, not 10",
    ),
    "a step has no weight": (
        replacing("weight = 10,", "weight = 0,"),
        "release.steps[0].weight: must be greater than or equal to 1, not 0",
    ),
    "a step bakes for a text": (
        replacing("bake_seconds = 300", 'bake_seconds = "300"'),
        "release.steps[0].bake_seconds: must be a valid integer, not '300'",
    ),
    "a window is negative": (
        replacing("rollback_window_seconds = 3600", "rollback_window_seconds = -1"),
        "release.rollback_window_seconds: must be greater than or equal to 0, not -1",
    ),
    "a pause is too short to be noticed": (
        replacing("longest_pause_seconds = 3600", "longest_pause_seconds = 59"),
        "release.longest_pause_seconds: must be greater than or equal to 60, not 59",
    ),
    "a pause is longer than somebody stays awake": (
        replacing("longest_pause_seconds = 3600", "longest_pause_seconds = 14401"),
        "release.longest_pause_seconds: must be less than or equal to 14400, not 14401",
    ),
    "a release has more events than an execution may have": (
        replacing("bake_seconds = 1800", "bake_seconds = 108000"),
        f"{TOO_LONG.format(147000, 30336)}{GATES}, {WAITS}, {HOOKS}, {BAKES.replace('4200', '110400')}, {PAUSE}",
    ),
    "a release waits too long for a window": (
        lambda text: text.replace('"refuse"', '"wait"').replace(
            "rollback_window_seconds = 3600", "rollback_window_seconds = 108000"
        ),
        (
            f"{TOO_LONG.format(148800, 30606)}release.rollback_window_seconds (108000 s), {GATES}, "
            f"{WAITS}, {HOOKS}, {BAKES}, {PAUSE}"
        ),
    ),
    "an unknown choice": (
        replacing('"refuse"', '"ignore"'),
        "release.next_release_in_window: must be 'refuse', 'expire' or 'wait', not 'ignore'",
    ),
    "both parameters are one": (
        replacing("previous-target-group", "target-group-arn"),
        "parameters.previous_target_group: must be another parameter than target_group",
    ),
    "a parameter has no path": (
        replacing('"/receipt-vault/production/target-group-arn"', '"target-group-arn"'),
        """parameters.target_group: must be the name of an SSM parameter, beginning with "/", not 'target-group-arn'""",
    ),
    "nobody is told": (
        replacing('emails = ["oncall@receiptvault.pro"]', "emails = []"),
        "notifications.emails: must have at least one entry",
    ),
    "an e-mail address is none": (
        replacing("oncall@receiptvault.pro", "oncall"),
        "notifications.emails[0]: must be an e-mail address, not 'oncall'",
    ),
    "a database has no host": (
        replacing('host = "receipt-vault-production.c9akciq32rgd.eu-west-1.rds.amazonaws.com"\n', ""),
        "database.host: is missing: add it",
    ),
    "a host name has capitals": (
        replacing("redis.receiptvault.pro", "Redis.receiptvault.pro"),
        """cache.host: must be a host name in lower case, such as "api.example.com", not 'Redis.receiptvault.pro'""",
    ),
    "a port is none": (
        replacing('host = "redis.receiptvault.pro"', 'host = "redis.receiptvault.pro"\nport = 70000'),
        "cache.port: must be less than or equal to 65535, not 70000",
    ),
    "a port is a text": (
        replacing('host = "redis.receiptvault.pro"', 'host = "redis.receiptvault.pro"\nport = "6379"'),
        "cache.port: must be a valid integer, not '6379'",
    ),
    "a database has a name that PostgreSQL does not take": (
        replacing('name = "receiptvault"', 'name = "receipt vault"'),
        "database.name: must be the name of a database, not 'receipt vault'",
    ),
    "a secret has lost its end": (
        replacing("database-check-Q7mXw2", "database"),
        (
            "database.secret_arn: must be the whole ARN of a secret, with the six characters at its end "
            f"(…:secret:<name>-<6 characters>), not '{SECRETS}/database'"
        ),
    ),
    "a secret of the database is in another account": (
        replacing(f"{SECRETS}/database", f"{SECRETS}/database".replace("111122223333", "444455556666")),
        "database.secret_arn: is in aws eu-west-1 444455556666, but this environment in aws eu-west-1 111122223333",
    ),
    "a secret that is restored has lost its end": (
        replacing("database-application-T5vHnY", "database-application"),
        (
            "restore.application_secret_arn: must be the whole ARN of a secret, with the six characters at its end "
            f"(…:secret:<name>-<6 characters>), not '{SECRETS}/database-application'"
        ),
    ),
    "the administrator is in another Region": (
        replacing(f"{SECRETS}/database-adm", f"{SECRETS}/database-adm".replace("eu-west-1", "us-east-1")),
        (
            "restore.administrator_secret_arn: is in aws us-east-1 111122223333, but this environment in aws eu-west-1 "
            "111122223333"
        ),
    ),
    "the application is its own administrator": (
        replacing("database-administrator-e8KpGc", "database-application-T5vHnY"),
        "restore.administrator_secret_arn: must be another secret than that of the application",
    ),
    "migrations have no hook": (
        replacing(f'function_arn = "{MIGRATE}"\n', ""),
        "migrations.function_arn: give exactly one of function_arn and project, not neither",
    ),
    "migrations have two hooks": (
        replacing(f'function_arn = "{MIGRATE}"', f'function_arn = "{MIGRATE}"\nproject = "migrate"'),
        "migrations.function_arn: give exactly one of function_arn and project, not both",
    ),
    "migrations are somewhere else": (
        replacing(MIGRATE, MIGRATE.replace("eu-west-1", "us-east-1")),
        "migrations.function_arn: is in aws us-east-1 111122223333, but this environment in aws eu-west-1 111122223333",
    ),
    "migrations take longer than a function may wait": (
        replacing('migrate"\ntimeout_minutes = 10', 'migrate"\ntimeout_minutes = 15'),
        (
            "migrations.timeout_minutes: must be at most 14 for a function, not 15: what takes longer is for a project "
            "of CodeBuild"
        ),
    ),
    "a function of migrations is no function": (
        replacing(MIGRATE, MIGRATE.replace(":function:", ":layer:")),
        (
            "migrations.function_arn: must be the ARN of a function of Lambda (…:function:<name>, or with its alias), "
            f"not '{MIGRATE.replace(':function:', ':layer:')}'"
        ),
    ),
    "a freeze would stop tests": (
        replacing(f'test_listener_arn = "{TEST}"', f'test_rule_arn = "{RULE}"'),
        (
            "routes[0].test_rule_arn: is on a listener of users, all of whose requests a restore of the database "
            "answers itself before it asks through the test listener: give tests a listener of their own"
        ),
    ),
    "a restore stops nobody": (
        replacing('application_roles = ["receiptvault"]', "application_roles = []"),
        "restore.application_roles: must have at least one entry",
    ),
    "a role is a piece of SQL": (
        replacing('["receiptvault"]', """['"; DROP']"""),
        """restore.application_roles[0]: must be the name of a role of PostgreSQL, not '"; DROP'""",
    ),
    "a color's group is a worker group": (
        replacing("approval_minutes = 60", 'approval_minutes = 60\nworker_groups = ["receipt-vault-production-blue"]'),
        (
            "restore.worker_groups[0]: 'receipt-vault-production-blue' is a color's group, which is restarted anyway: "
            "remove it"
        ),
    ),
    "a table is counted twice": (
        replacing("tables = [{", 'tables = [{ name = "receipts", key = "id" }, {'),
        "restore.tables[1].name: 'receipts' is named twice: remove one",
    ),
    "a check of restored data expects nothing": (
        replacing(", expected = true }", " }"),
        "restore.check_queries[0]: give exactly one of expected and at_least, not neither",
    ),
    "a check of restored data expects two things": (
        replacing("expected = true", "expected = true, at_least = 1"),
        "restore.check_queries[0]: give exactly one of expected and at_least, not both",
    ),
    "a check of restored data changes them": (
        replacing('"SELECT count(owner) = count(*) FROM receipts"', '"DELETE FROM receipts"'),
        (
            "restore.check_queries[0].sql: must be one query that begins with SELECT, without a semicolon, not 'DELETE "
            "FROM receipts'"
        ),
    ),
    "an approval has no time": (
        replacing("approval_minutes = 60", "approval_minutes = 4"),
        "restore.approval_minutes: must be greater than or equal to 5, not 4",
    ),
    "snapshots are shared by the account itself": (
        replacing('snapshot_accounts = ["222233334444"]', 'snapshot_accounts = ["222233334444", "111122223333"]'),
        (
            "restore.snapshot_accounts[1]: is this environment's own account, whose snapshots nobody has to share: "
            "name those of backups, or none"
        ),
    ),
    "an account is none": (
        replacing('snapshot_accounts = ["222233334444"]', 'snapshot_accounts = ["backups"]'),
        (
            'restore.snapshot_accounts[0]: must be an AWS account of twelve digits, such as "111122223333", '
            "not 'backups'"
        ),
    ),
    "a reader of exports is in another account": (
        replacing("iam::111122223333:role/receipt-vault-production-data", "iam::444455556666:role/somebody"),
        (
            "restore.export_readers[0]: is a role of account 444455556666, but this environment is in 111122223333: "
            "name one of its own"
        ),
    ),
    "an approver is a session": (
        replacing(
            "arn:aws:iam::111122223333:role/receipt-vault-production-approver",
            "arn:aws:sts::111122223333:assumed-role/approver/kim",
        ),
        (
            "approval.approver_arns[0]: must be the ARN of an IAM role or user (…:role/<name>), not that of a role's "
            "session, not 'arn:aws:sts::111122223333:assumed-role/approver/kim'"
        ),
    ),
    "an approver is of another account": (
        replacing("111122223333:role/receipt-vault-production-approver", "444455556666:user/kim"),
        (
            "approval.approver_arns[0]: is of account 444455556666, but this environment is in 111122223333: name a "
            "role there"
        ),
    ),
    "an approver is named twice": (
        lambda text: re.sub(r'approver_arns = \[(".*")]', r"approver_arns = [\1, \1]", text),
        (
            "approval.approver_arns[1]: 'arn:aws:iam::111122223333:role/receipt-vault-production-approver' is named "
            "twice: remove one"
        ),
    ),
    "there is nothing to approve": (
        lambda text: re.sub(r"\[restore]\n(?:.+\n)+", "", text).replace("releases = true", "releases = false"),
        (
            "approval: goes with [restore], whose restores are approved: add that table, or set releases = true, or "
            "remove this"
        ),
    ),
    "an approval of a release has no time": (
        replacing("release_minutes = 240", "release_minutes = 4"),
        "approval.release_minutes: must be greater than or equal to 5, not 4",
    ),
    "an approval of a release is waited for too long": (
        replacing("release_minutes = 240", "release_minutes = 1441"),
        "approval.release_minutes: must be less than or equal to 1440, not 1441",
    ),
    "nobody may approve": (
        replacing('["arn:aws:iam::111122223333:role/receipt-vault-production-approver"]', "[]"),
        "approval.approver_arns: must have at least one entry",
    ),
    "a repository is named in another way": (
        replacing("https://github.com/your-org/receipt-vault", "git@github.com:your-org/receipt-vault.git"),
        (
            "infrastructure.repository: must be a repository, such as "
            "\"https://github.com/example/shop\", not 'git@github.com:your-org/receipt-vault.git'"
        ),
    ),
    "a directory leads out of the repository": (
        replacing("terraform/environments/production", "terraform/../../etc"),
        (
            'infrastructure.directory: must be a path inside the repository, such as "terraform/production", not '
            "'terraform/../../etc'"
        ),
    ),
    "a Terraform is not pinned": (
        replacing('terraform_version = "1.11.4"', 'terraform_version = "latest"'),
        "infrastructure.terraform_version: must be a version of Terraform, such as \"1.11.4\", not 'latest'",
    ),
    "a target has a space in it": (
        replacing('rollback_targets = ["module.compute"]', 'rollback_targets = ["module.compute module.edge"]'),
        (
            "infrastructure.rollback_targets[0]: must be an address of Terraform without spaces, such as"
            " module.compute, not 'module.compute module.edge'"
        ),
    ),
    "a plan would destroy more than a function can be told": (
        replacing('may_destroy = ["module.compute"]', f"may_destroy = {[f'aws_sqs_queue.q{n}' for n in range(100)]}"),
        (
            "infrastructure.may_destroy: and rollback_targets take 2108 bytes, more than the 1500 that a function can"
            " be told: name modules instead of what is in them"
        ),
    ),
    "nobody may plan": (
        replacing(
            'plan_policy_arns = ["arn:aws:iam::111122223333:policy/receipt-vault-production-terraform-plan"]',
            "plan_policy_arns = []",
        ),
        "infrastructure.plan_policy_arns: must have at least one entry",
    ),
    "a restore is longer than a function can be told": (
        replacing('warm_queries = ["', f'warm_queries = ["SELECT {"1 + " * 700}1", "'),
        "restore: takes 3543 bytes, more than the 3000 that a function can be told: name fewer queries",
    ),
    "a secret of the cache is in another Region": (
        replacing(
            'host = "redis.receiptvault.pro"',
            f'host = "redis.receiptvault.pro"\nsecret_arn = "{SECRETS.replace("eu-west-1", "us-east-1")}/cache-AbCdEf"',
        ),
        "cache.secret_arn: is in aws us-east-1 111122223333, but this environment in aws eu-west-1 111122223333",
    ),
    "a body's secret is in another Region": (
        replacing(f"{SECRETS}/smoke-login", f"{SECRETS}/smoke-login".replace("eu-west-1", "us-east-1")),
        (
            "checks.smoke[1].body_secret_arn: is in aws us-east-1 111122223333, but this environment in aws eu-west-1 "
            "111122223333"
        ),
    ),
    "a token's secret is in another Region": (
        replacing(f"{SECRETS}/smoke-token", f"{SECRETS}/smoke-token".replace("eu-west-1", "us-east-1")),
        (
            "checks.smoke[2].token_secret_arn: is in aws us-east-1 111122223333, but this environment in aws eu-west-1 "
            "111122223333"
        ),
    ),
    "a subnet is none": (
        replacing("subnet-0b6f3c1d2e4a59687", "vpc-0b6f3c1d2e4a59687"),
        (
            'network.subnet_ids[0]: must be a subnet id, such as "subnet-0b6f3c1d2e4a59687", '
            "not 'vpc-0b6f3c1d2e4a59687'"
        ),
    ),
    "there is no subnet": (
        replacing('["subnet-0b6f3c1d2e4a59687", "subnet-0c7a4d2e3f5b6a798"]', "[]"),
        "network.subnet_ids: must have at least one entry",
    ),
    "a security group is none": (
        replacing('["sg-0a1b2c3d4e5f60718"]', '["default"]'),
        """network.security_group_ids[0]: must be a security group id, such as "sg-0a1b2c3d4e5f60718", not 'default'""",
    ),
    "a security group is not in a list": (
        replacing('["sg-0a1b2c3d4e5f60718"]', '"sg-0a1b2c3d4e5f60718"'),
        "network.security_group_ids: must be a list: [ … ], or a table [[network.security_group_ids]] for each entry",
    ),
    "an endpoint is none": (
        replacing("vpce-0f1e2d3c4b5a69788", "com.amazonaws.eu-west-1.secretsmanager"),
        (
            'network.secrets_manager_endpoint_id: must be a VPC endpoint id, such as "vpce-0f1e2d3c4b5a69788", '
            "not 'com.amazonaws.eu-west-1.secretsmanager'"
        ),
    ),
    "a log group is an ARN": (
        replacing('group = "/receipt-vault', 'group = "arn:aws:logs:/receipt-vault'),
        "logs.group: must be the name of a log group, not 'arn:aws:logs:/receipt-vault/production/application'",
    ),
    "requests of every version are counted": (
        replacing('$.version = "{version}" && $.path', "$.path"),
        "logs.request_pattern: must contain {version}, where the version's commit goes",
    ),
    "errors of every version are counted": (
        replacing(' && $.version = "{version}" }', " }"),
        "logs.error_pattern: must contain {version}, where the version's commit goes",
    ),
    "a pattern is too long for CloudWatch Logs": (
        replacing('$.path != "/health"', f'$.path != "/{"health" * 170}"'),
        "logs.request_pattern: must have at most 1024 characters, with a whole commit as its version",
    ),
    "a check is probed that does not exist": (
        replacing("allowed_hosts = [", 'probe = ["login", "uplaod"]\nallowed_hosts = ['),
        "checks.probe[1]: 'uplaod' is no smoke check; there are health, login, upload",
    ),
    "nothing is probed": (
        replacing("allowed_hosts = [", "probe = []\nallowed_hosts = ["),
        "checks.probe: must have at least one entry",
    ),
    "all may be errors and more": (
        replacing("maximum_error_percent = 5", "maximum_error_percent = 500"),
        "logs.maximum_error_percent: must be less than or equal to 100, not 500",
    ),
    "a share is a text": (
        replacing("maximum_error_percent = 5", 'maximum_error_percent = "5 %"'),
        "logs.maximum_error_percent: must be a valid number, not '5 %'",
    ),
    "a window for the log is too long to be read": (
        replacing("maximum_error_percent = 5", "window_seconds = 7200"),
        "logs.window_seconds: must be less than or equal to 3600, not 7200",
    ),
    "a URL is not encrypted": (
        replacing(f'live_url = "{API}"', 'live_url = "http://api.receiptvault.pro"'),
        (
            'checks.live_url: must be a URL that begins with "https://" and a host name in lower case, not '
            "'http://api.receiptvault.pro'"
        ),
    ),
    "a URL has a password": (
        replacing(f"{API}/metrics", "https://smoke:secret@api.receiptvault.pro/metrics"),
        "checks.health[2].url: must not contain a user or a password: name a secret instead",
    ),
    "a URL has a port that does not exist": (
        replacing(f"{API}:8443", f"{API}:84430"),
        f"checks.test_url: must have a port of at most 65535, not '{API}:84430'",
    ),
    "a URL has a query where paths begin": (
        replacing(f'live_url = "{API}"', f'live_url = "{API}/?from=runback"'),
        (
            'checks.live_url: must be a URL without "?" and "#": the path of a check is put behind it, not '
            f"'{API}/?from=runback'"
        ),
    ),
    "a host is not allowed": (
        replacing(f"{API}/metrics", "https://metrics.receiptvault.pro/"),
        "checks.health[2].url: is on 'metrics.receiptvault.pro', which is not in checks.allowed_hosts: add it there",
    ),
    "the product's own host is not allowed": (
        replacing('["api.receiptvault.pro", "receiptvault.pro"]', '["receiptvault.pro"]'),
        "checks.test_url: is on 'api.receiptvault.pro', which is not in checks.allowed_hosts: add it there",
    ),
    "the test listener is the live one": (
        replacing(f"{API}:8443", API),
        "checks.test_url: must be another URL than live_url: that of the test listener",
    ),
    "a path is a URL": (
        replacing('path = "/auth/login"', f'path = "{API}/auth/login"'),
        f"""checks.smoke[1].path: must be a path that begins with "/", not '{API}/auth/login'""",
    ),
    "a field of a smoke check is misspelt": (
        replacing('path = "/auth/login"', 'pth = "/auth/login"'),
        "checks.smoke[1].pth: is not a setting of Runback: remove it, or did you mean 'path'?",
    ),
    "a field of a health check is misspelt": (
        replacing("at_most", "atmost"),
        "checks.health[2].atmost: is not a setting of Runback: remove it, or did you mean 'at_most'?",
    ),
    "a health check has a path": (
        replacing(f'url = "{API}/metrics"', 'path = "/metrics"'),
        "checks.health[2].path: is not a setting of Runback: remove it",
    ),
    "there is no smoke check": (
        lambda text: text[: text.index("[[checks.smoke]]")] + text[text.index("# Where other tools") :],
        "checks.smoke: is missing: add it",
    ),
    "a check is not in a list": (
        lambda text: re.sub(r"\[\[checks.health]]\nname = \"(api|site)\"\nurl = .*\n", "", text).replace(
            "[[checks.health]]", "[checks.health]"
        ),
        "checks.health: must be a list: [ … ], or a table [[checks.health]] for each entry",
    ),
    "a check has no name that a message could begin with": (
        replacing('name = "login"', 'name = "Log in"'),
        "checks.smoke[1].name: must be lower-case letters, digits and hyphens, not 'Log in'",
    ),
    "two smoke checks have one name": (
        replacing('name = "upload"', 'name = "login"'),
        "checks.smoke[2].name: 'login' is used by another check too: rename one",
    ),
    "two health checks have one name": (
        replacing('name = "site"', 'name = "api"'),
        "checks.health[1].name: 'api' is used by another check too: rename one",
    ),
    "a method does not exist": (
        replacing('method = "POST"', 'method = "SEND"'),
        "checks.smoke[1].method: must be 'GET', 'HEAD', 'POST', 'PUT', 'PATCH' or 'DELETE', not 'SEND'",
    ),
    "a status is expected that ends no request": (
        replacing("expected_status = 201", "expected_status = 100"),
        "checks.smoke[2].expected_status: must be greater than or equal to 200, not 100",
    ),
    "a header has a line end": (
        in_check("upload", 'headers = { Accept = "text/html\\nInjected: yes" }'),
        (
            "checks.smoke[2].headers.Accept: must be printable ASCII text without spaces at its ends, not "
            "'text/html\\nInjected: yes'"
        ),
    ),
    "a header has a name that is none": (
        in_check("upload", 'headers = { "Accept it" = "text/html" }'),
        """checks.smoke[2].headers.Accept it: must be the name of a header, such as "Accept", not 'Accept it'""",
    ),
    "a check has two bodies": (
        in_check("login", 'body = "{}"'),
        "checks.smoke[1].body_secret_arn: give only one of body and body_secret_arn",
    ),
    "a check has a file and a secret as body": (
        in_check("upload", f'body_secret_arn = "{SECRETS}/smoke-login-b4TzKd"'),
        "checks.smoke[2].file: give only one of body_secret_arn and file",
    ),
    "a GET has a body": (
        in_check("health", 'body = "{}"'),
        'checks.smoke[0].method: is GET, which carries no body: write "POST"',
    ),
    "it is not said how many connections the database allows": (
        replacing("maximum_connections = 500\n", ""),
        "database.maximum_connections: is missing: add it",
    ),
    "a database allows no connection": (
        replacing("maximum_connections = 500", "maximum_connections = 0"),
        "database.maximum_connections: must be greater than or equal to 1, not 0",
    ),
    "a critical threshold is no worse than the warning": (
        replacing("cpu_percent = { warning = 70, critical = 90 }", "cpu_percent = { warning = 70, critical = 70 }"),
        "alarms.cpu_percent.critical: must be more than the warning's 70, not 70",
    ),
    "a critical threshold is better than the warning": (
        replacing("{ warning = 1, critical = 3 }", "{ warning = 1.5, critical = 0.5 }"),
        "alarms.response_time_seconds.critical: must be more than the warning's 1.5, not 0.5",
    ),
    "a threshold is missing": (
        replacing("memory_percent = { warning = 80, critical = 95 }", "memory_percent = { warning = 80 }"),
        "alarms.memory_percent.critical: is missing: add it",
    ),
    "a threshold is nothing": (
        replacing("disk_percent = { warning = 80", "disk_percent = { warning = 0"),
        "alarms.disk_percent.warning: must be greater than 0, not 0",
    ),
    "a threshold is misspelt": (
        replacing("query_milliseconds", "query_miliseconds"),
        "alarms.query_miliseconds: is not a setting of Runback: remove it, or did you mean 'query_milliseconds'?",
    ),
    "a rate is judged by no request": (
        replacing("[alarms]\nminimum_requests = 20", "[alarms]\nminimum_requests = 0"),
        "alarms.minimum_requests: must be greater than or equal to 1, not 0",
    ),
    "more than all log-ins must succeed": (
        replacing("login_success_percent = 99", "login_success_percent = 101"),
        "alarms.login_success_percent: must be less than or equal to 100, not 101",
    ),
    "no upload has to succeed": (
        replacing("upload_success_percent = 95", "upload_success_percent = 0"),
        "alarms.upload_success_percent: must be greater than 0, not 0",
    ),
    "response times are judged by the slowest request": (
        replacing("query_milliseconds = 100", "query_milliseconds = 100\nresponse_time_percentile = 100"),
        "alarms.response_time_percentile: must be less than 100, not 100",
    ),
    "nobody says what a release is judged by": (
        replacing('source = "application"\n', ""),
        "judge.source: is missing: add it",
    ),
    "a release is judged by what there is not": (
        replacing('source = "application"', 'source = "users"'),
        "judge.source: must be 'application', 'logs' or 'load_balancer', not 'users'",
    ),
    "a release is judged by metrics of the application that are not named": (
        replacing('[judge.metrics]\nnamespace = "ReceiptVault"\n', ""),
        'judge.metrics: goes with source = "application": give both or neither',
    ),
    "metrics of the application are named and not used": (
        replacing('source = "application"', 'source = "load_balancer"'),
        'judge.metrics: goes with source = "application": give both or neither',
    ),
    "the application publishes as AWS": (
        replacing('namespace = "ReceiptVault"', 'namespace = "AWS/EC2"'),
        "judge.metrics.namespace: must be a namespace of CloudWatch, not one of AWS, not 'AWS/EC2'",
    ),
    "a metric has a name that is none": (
        replacing('namespace = "ReceiptVault"', 'namespace = "ReceiptVault"\nerrors = "All errors"'),
        "judge.metrics.errors: must be the name of a metric or of a dimension, not 'All errors'",
    ),
    "the application publishes every minute": (
        replacing('namespace = "ReceiptVault"', 'namespace = "ReceiptVault"\nperiod_seconds = 60'),
        "judge.metrics.period_seconds: must be 1, 5, 10 or 30, not 60",
    ),
    "slow requests are to be found in the log by nothing": (
        lambda text: text.replace('source = "application"', 'source = "logs"').replace(
            '[judge.metrics]\nnamespace = "ReceiptVault"\n', ""
        ),
        'logs.slow_pattern: is missing: with judge.source = "logs", slow requests are found by it',
    ),
    "more good releases may be rolled back than anybody would bear": (
        replacing("longest_extension_seconds = 600", "longest_extension_seconds = 600\nfalse_alarms_percent = 6"),
        "judge.false_alarms_percent: must be less than or equal to 5, not 6",
    ),
    "a bake may be extended for half a day": (
        replacing("longest_extension_seconds = 600", "longest_extension_seconds = 43200"),
        "judge.longest_extension_seconds: must be less than or equal to 3600, not 43200",
    ),
    "a release that nothing speaks against or for is rolled back": (
        replacing('when_inconclusive = "hold"', 'when_inconclusive = "rollback"'),
        "judge.when_inconclusive: must be 'hold' or 'proceed', not 'rollback'",
    ),
    "a form has no file": (
        in_check("login", 'form = { category = "test" }'),
        "checks.smoke[1].form: goes with a file: add file, or send the form as body",
    ),
    "a file is not there": (
        replacing('file = "test-receipt.jpg"', 'file = "receipt.jpg"'),
        "checks.smoke[2].file: names 'receipt.jpg', which is not in {folder}/files: put it there",
    ),
    "a file is somewhere else": (
        replacing('file = "test-receipt.jpg"', 'file = "../production.toml"'),
        "checks.smoke[2].file: must be the name of a file in environments/files/, not '../production.toml'",
    ),
    "the certificates are not there": (
        replacing("rds-eu-west-1.pem", "rds.pem"),
        "database.ca_file: names 'rds.pem', which is not in {folder}/files: put it there",
    ),
    "the certificates are none": (
        replacing("rds-eu-west-1.pem", "test-receipt.jpg"),
        "database.ca_file: names 'test-receipt.jpg', which is not a file of certificates (PEM)",
    ),
    "a form would have two types": (
        in_check("upload", 'headers = { content-type = "image/jpeg" }'),
        "checks.smoke[2].headers: has a Content-Type, and a form with a file has its own: remove it",
    ),
    "a check would log in twice": (
        in_check("upload", 'headers = { authorization = "Basic c21va2U6" }'),
        "checks.smoke[2].headers: has an Authorization, and token_secret_arn gives another: keep one",
    ),
    "a metric has no limit": (
        replacing("at_most = 3.0\n", ""),
        "checks.health[2].metric: goes with at_most: give both or neither",
    ),
    "a limit has no metric": (
        in_check("upload", "at_most = 3"),
        "checks.smoke[2].metric: goes with at_most: give both or neither",
    ),
    "a limit that everything keeps": (
        replacing("at_most = 3.0", "at_most = nan"),
        "checks.health[2].at_most: must be a finite number, not nan",
    ),
    "a limit is a text": (
        replacing("at_most = 3.0", 'at_most = "3"'),
        "checks.health[2].at_most: must be a valid number, not '3'",
    ),
    "a check may take for ever": (
        replacing("maximum_seconds = 10", "maximum_seconds = 31"),
        "checks.smoke[2].maximum_seconds: must be less than or equal to 30, not 31",
    ),
    "checks together would outlast their function": (
        replacing("maximum_seconds = 10", "maximum_seconds = 20.5"),
        "checks: may take 45.5 s together, and 45 s are allowed: lower maximum_seconds",
    ),
    "the file is not TOML": (
        replacing("[release]", "[release"),
        "TOML syntax: Expected ']' at the end of a table declaration (at line 28, column 9)",
    ),
}


@pytest.mark.parametrize(("edit", "line"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_by_file_field_and_fix(edit: Edit, line: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load_edited(tmp_path, edit)

    told = line.replace("{folder}", str(tmp_path))
    assert f"{tmp_path / 'production.toml'}: {told}" in str(raised.value).splitlines()


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """Whoever corrects one mistake per run gives up before the last one."""
    original = (SETTINGS_FOLDER / "production.toml").read_text(encoding="utf-8")
    (tmp_path / "one.toml").write_text(original.replace("weight = 100", "weight = 90"), encoding="utf-8")
    (tmp_path / "two.toml").write_text(original.replace('region = "eu-west-1"\n', ""), encoding="utf-8")
    shutil.copy(SETTINGS_FOLDER / "staging.toml", tmp_path)
    shutil.copytree(SETTINGS_FOLDER / "files", tmp_path / "files")

    with pytest.raises(SettingsError) as raised:
        load_settings(tmp_path)

    assert [
        f"{tmp_path / 'one.toml'}: release.steps: the last step must have weight 100, not 90",
        f"{tmp_path / 'one.toml'}: environment: must be the name of its file, \"one\", not 'production'",
        f"{tmp_path / 'two.toml'}: region: is missing: add it",
    ] == str(raised.value).splitlines()


def test_routes_do_not_share_a_name_or_a_listener(tmp_path: Path) -> None:
    """A shared listener could not be switched for one route alone."""

    def doubled(text: str) -> str:
        before, mark, after = text.partition("[colors.blue]")
        route = before[before.index("[[routes]]") :]
        return before + route + mark + after

    with pytest.raises(SettingsError) as raised:
        load_edited(tmp_path, doubled)

    fields = [problem.field for problem in raised.value.problems[tmp_path / "production.toml"]]
    assert fields == [
        "routes[0].name",
        "routes[1].name",
        "routes[0].listener_arn",
        "routes[0].test_listener_arn",
        "routes[1].listener_arn",
        "routes[1].test_listener_arn",
    ]


def test_more_routes_than_a_function_can_be_told_are_refused(tmp_path: Path) -> None:
    """AWS would refuse them too, but only in the middle of an update."""

    def multiplied(text: str) -> str:
        before, mark, after = text.partition("[colors.blue]")
        head, route = before.split("[[routes]]")
        return head + "".join(f"[[routes]]{route}" for _ in range(8)) + mark + after

    with pytest.raises(SettingsError, match="routes: are 8, more than fit"):
        load_edited(tmp_path, multiplied)


def test_more_checks_than_a_function_can_be_told_are_refused(tmp_path: Path) -> None:
    """Counted as the function gets them: without defaults, and with what JSON makes of other alphabets."""
    (production,) = load_settings(SETTINGS_FOLDER, ("production",))
    told = len(VARIABLES["CHECKS"](production))
    added = len('"method":"POST","body":"",')
    posting = 'method = "POST"'

    assert load_edited(tmp_path, in_check("health", posting, f'body = "{"x" * (3000 - told - added)}"'))
    with pytest.raises(SettingsError, match="checks: take 3001 bytes, more than the 3000 that a function can be told"):
        load_edited(tmp_path, in_check("health", posting, f'body = "{"x" * (3001 - told - added)}"'))
    with pytest.raises(SettingsError, match="checks: take 3"):
        load_edited(tmp_path, in_check("health", posting, f'body = "{"ß" * 500}"'))


def test_thresholds_are_those_of_the_runbook_unless_told_otherwise(tmp_path: Path) -> None:
    """An environment that says nothing of alarms is watched all the same."""
    shipped = load_edited(tmp_path, lambda text: text)
    silent = load_edited(tmp_path, lambda text: re.sub(r"\[alarms\]\n(?:.+\n)+", "", text))

    assert silent.alarms == shipped.alarms


def test_a_threshold_may_have_a_fraction(tmp_path: Path) -> None:
    settings = load_edited(tmp_path, replacing("{ warning = 1, critical = 5 }", "{ warning = 0.5, critical = 1.5 }"))

    assert (settings.alarms.error_rate_percent.warning, settings.alarms.error_rate_percent.critical) == (0.5, 1.5)


def test_metrics_of_an_application_are_by_auto_scaling_group_unless_told_otherwise(tmp_path: Path) -> None:
    metrics = load_edited(tmp_path, lambda text: text).judge.metrics

    assert metrics is not None
    assert (metrics.dimension, metrics.period_seconds) == ("AutoScalingGroupName", 5)


def test_a_cache_speaks_tls_unless_told_otherwise(tmp_path: Path) -> None:
    assert load_edited(tmp_path, lambda text: text).cache.tls


def test_every_limit_may_be_a_whole_number(tmp_path: Path) -> None:
    settings = load_edited(tmp_path, replacing("at_most = 3.0", "at_most = 3"))

    assert settings.checks.health[2].at_most == 3


def test_an_environment_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(SettingsError, match=r"prod\.toml: there is no such environment; .* has production, staging"):
        load_settings(SETTINGS_FOLDER, ("prod",))


def test_a_folder_without_settings_is_a_mistake(tmp_path: Path) -> None:
    """An empty assembly would look like success."""
    with pytest.raises(SettingsError, match="no TOML file at all"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_arns_are_of_the_part_of_aws_that_the_region_belongs_to(region: str, partition: str) -> None:
    (production,) = load_settings(SETTINGS_FOLDER, ("production",))
    elsewhere = production.model_copy(update={"region": region})

    assert elsewhere.arn("sns", "notices") == f"arn:{partition}:sns:{region}:111122223333:notices"


@pytest.mark.parametrize(("region", "longest"), [("eu-west-1", 32), ("ap-southeast-1", 27)])
def test_a_bucket_s_name_has_room_for_account_and_region(region: str, longest: int, tmp_path: Path) -> None:
    """S3 would refuse it too, but only in the middle of a deployment."""

    def called(service: str) -> Edit:
        def edit(text: str) -> str:
            named = text.replace('service = "receipt-vault"', f'service = "{service}"')
            return re.sub(r'([":])eu-west-1([":])', rf"\1{region}\2", named)

        return edit

    fitting = "s" * (longest - len("-production"))

    assert len(load_edited(tmp_path, called(fitting)).reports_bucket) == 63
    with pytest.raises(SettingsError, match=f"with the environment at most {longest}, because S3 allows 63"):
        load_edited(tmp_path, called(f"{fitting}s"))
