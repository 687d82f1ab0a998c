"""Ready-made values for tests. Standard library only: functions are imported after their settings are in place."""

from typing import Any

ENVIRONMENT = "test"
TABLE = "receipts-test-record"
TOPIC_ARN = "arn:aws:sns:eu-west-1:123456789012:receipts-test-notices"
DEPLOY_MACHINE_ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:receipts-test-deploy"
PUSH_MACHINE_ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:receipts-test-push"
ROLLBACK_MACHINE_ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:receipts-test-rollback"
INGRESS = {
    "repository_id": 412906233,
    "refs": ["refs/heads/main", "refs/tags/v*"],
    "secret_arns": ["github-webhook", "github-webhook-next"],
    "bus": "receipts-github",
    "table": "receipts-github-deliveries",
}
RESTORE_MACHINE_ARN = "arn:aws:states:eu-west-1:123456789012:stateMachine:receipts-test-restore-database"
APPROVERS = ["arn:aws:iam::123456789012:role/teams/approver", "arn:aws:iam::123456789012:user/zoe"]
PUSHES = {
    "starts": "push",
    "ref": "refs/heads/main",
    "after": "",
    "after_table": "",
    "repository_id": 412906233,
}
GITHUB = {
    "repository": "your-org/receipts",
    "repository_id": 412906233,
    "token_secret_arn": "github-token",
    "api_url": "https://api.github.com",
    "after_rollback": "comment",
}
APPROVAL_URL = "https://abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws/"
REPORTS = {
    "bucket": "receipts-test-reports-123456789012-eu-west-1",
    "url": "https://eu-west-1.console.aws.amazon.com/s3/object/receipts-test-reports-123456789012-eu-west-1"
    "?region=eu-west-1&prefix=",
}

_LOAD_BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012"
LISTENER = f"{_LOAD_BALANCER}:listener/app/receipts/50dc6c495c0c9188/f2f7dc8efc522ab2"
TEST_LISTENER = f"{_LOAD_BALANCER}:listener/app/receipts/50dc6c495c0c9188/9c2ab1d7e04f6a35"
BLUE = f"{_LOAD_BALANCER}:targetgroup/receipts-blue/73e2d6bc24d8a067"
GREEN = f"{_LOAD_BALANCER}:targetgroup/receipts-green/d1b0f4a96c3e5728"

ROUTES: list[dict[str, Any]] = [
    {
        "name": "api",
        "listener_arn": LISTENER,
        "rule_arn": None,
        "test_listener_arn": TEST_LISTENER,
        "test_rule_arn": None,
        "blue": BLUE,
        "green": GREEN,
    }
]
COLORS = {
    color: {"auto_scaling_group": f"receipts-{color}", "launch_template_id": f"lt-{color}"}
    for color in ("blue", "green")
}
RELEASE = {
    "steps": [{"weight": 10, "bake_seconds": 300}, {"weight": 100, "bake_seconds": 1800}],
    "prepare_timeout_seconds": 1800,
    "rollback_window_seconds": 3600,
    "next_release_in_window": "refuse",
    "longest_pause_seconds": 3600,
}
_SECRETS = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:receipts/test"
DATABASE = {
    "instance": "receipts-test",
    "snapshot_timeout_seconds": 3600,
    "host": "database.receipts.example",
    "port": 5432,
    "name": "receipts",
    "secret_arn": f"{_SECRETS}/database-AbCdEf",
    "ca_file": "rds-eu-west-1.pem",
}
RESTORE: dict[str, Any] = {
    "application_secret_arn": f"{_SECRETS}/application-YzAbCd",
    "administrator_secret_arn": f"{_SECRETS}/administrator-EfGhIj",
    "application_roles": ["receipts"],
    "worker_groups": [],
    "snapshot_accounts": ["222233334444"],
    "tables": [{"name": "receipts", "key": "id", "changed": "updated_at"}],
    "check_queries": [{"sql": "SELECT count(owner) = count(*) FROM receipts", "expected": True, "at_least": None}],
    "warm_queries": ["SELECT count(*) FROM receipts"],
    "approval_minutes": 60,
    "drain_seconds": 30,
    "export_days": 90,
    "export_readers": ["arn:aws:iam::123456789012:role/receipts-recovery"],
    "bucket": "receipts-test-exports-123456789012-eu-west-1",
    "database": {key: DATABASE[key] for key in ("instance", "host", "port", "name", "ca_file")},
}
MIGRATIONS: dict[str, Any] = {
    "function_arn": "arn:aws:lambda:eu-west-1:123456789012:function:receipts-test-migrate",
    "project": None,
    "timeout_minutes": 10,
}
INFRASTRUCTURE: dict[str, Any] = {
    "plan_project": "receipts-test-plan",
    "apply_project": "receipts-test-apply",
    "bucket": "receipts-test-plans-123456789012-eu-west-1",
    "timeout_seconds": 1800,
    "may_destroy": ["module.compute", "aws_sqs_queue.old"],
    "rollback_targets": ["module.compute"],
    "protected": [
        RESTORE["application_secret_arn"],
        "receipts/test/application",
        "/receipts/test/target-group-arn",
    ],
}
CACHE = {
    "host": "cache.receipts.example",
    "port": 6379,
    "tls": True,
    "secret_arn": f"{_SECRETS}/cache-GhIjKl",
}
GATES: dict[str, Any] = {
    "levels": {
        "commit_checks.tests": "required",
        "commit_checks.benchmarks": "warn",
        "coverage": "required",
        "artifact": "required",
        "validated": "required",
        "plan_reviewed": "required",
        "backup": "required",
        "alarms": "required",
        "certificate": "required",
        "dns": "required",
        "cdn": "warn",
        "change_window": "required",
        "maintenance": "required",
        "on_call": "required",
    },
    "wait_seconds": 3600,
    "coverage_check": "coverage",
    "coverage_pattern": r"(\d+(?:\.\d+)?) ?%",
    "coverage_percent": 80,
    "artifact": "s3://receipts-releases/{version}.tar.gz",
    "validated_in": "staging",
    "validated_table": "receipts-staging-record",
    "plan_check": "terraform-plan",
    "backup_hours": 26,
    "certificate_days": 21,
    "dns_records": [
        {"zone_id": "Z0412987RECEIPTS", "name": "api.receipts.example"},
        {"zone_id": "Z0412987RECEIPTS", "name": "receipts.example", "distribution": "E2QWRUHAPOMQZL"},
    ],
    "distributions": ["E2QWRUHAPOMQZL"],
    "time_zone": "Europe/Zurich",
    "zone_rule": "CET-1CEST,M3.5.0,M10.5.0/3",
    "windows": [{"days": [0, 1, 2, 3, 6], "begins": "09:00", "ends": "16:00"}],
    "calendars": ["arn:aws:ssm:eu-west-1:123456789012:document/receipts-changes"],
    "notification_targets": 1,
}
SKIPPABLE = ["commit_checks", *GATES["levels"], "approval"]
LOGS = {
    "group": "/receipts/test/application",
    "request_pattern": '{ $.version = "{version}" }',
    "error_pattern": '{ $.level = "ERROR" && $.version = "{version}" }',
    "maximum_error_percent": 5,
    "minimum_requests": 20,
    "window_seconds": 600,
}
CHECKS: dict[str, Any] = {
    "live_url": "https://api.receipts.example/",
    "test_url": "https://api.receipts.example:8443",
    "allowed_hosts": ["api.receipts.example"],
    "health": [{"name": "site", "url": "https://api.receipts.example/health"}],
    "smoke": [
        {"name": "login", "method": "POST", "path": "/login", "body_secret_arn": f"{_SECRETS}/login-MnOpQr"},
        {
            "name": "upload",
            "method": "POST",
            "path": "/receipts",
            "token_secret_arn": f"{_SECRETS}/token-StUvWx",
            "file": "test-receipt.jpg",
            "form": {"category": "test"},
            "expected_status": 201,
        },
    ],
}
ALARMS = {"prefix": "receipts-test", "critical": 3}
JUDGE: dict[str, Any] = {
    "source": "application",
    "metrics": {
        "namespace": "Receipts",
        "dimension": "AutoScalingGroupName",
        "requests": "Requests",
        "errors": "Errors",
        "response_time": "ResponseTime",
        "period_seconds": 5,
    },
    "minimum_requests": 20,
    "maximum_error_percent": 5,
    "slow_seconds": 3,
    "maximum_slow_percent": 5,
    "false_alarms_percent": 0.1,
    "longest_extension_seconds": 600,
    "when_inconclusive": "hold",
}
PARAMETERS = {
    "target_group": "/receipts/test/target-group-arn",
    "previous_target_group": "/receipts/test/previous-target-group",
    "way_back": "/runback/receipts/test/way-back",
}

OLD_VERSION, NEW_VERSION = "1111111", "2222222"
DEPLOYMENT = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-deploy:one"
OTHER_DEPLOYMENT = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-deploy:two"
ROLLBACK = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-rollback:one"
CLEAN_UP = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-clean-up:one"
OTHER_CLEAN_UP = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-clean-up:two"
OPERATE = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-operate:one"
OTHER_OPERATE = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-operate:two"
RESTORING = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-restore-database:one"
OTHER_RESTORING = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-restore-database:two"
OTHER_ROLLBACK = "arn:aws:states:eu-west-1:123456789012:execution:receipts-test-rollback:two"


def at(minute: int, second: int = 0) -> str:
    """Return a moment of the test's hour, as Step Functions writes it."""
    return f"2026-03-01T10:{minute:02}:{second:02}.000Z"
