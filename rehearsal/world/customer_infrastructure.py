"""What the customer's Terraform describes: all that the settings name, and what belongs to it."""

from rehearsal.settings import Settings
from rehearsal.world.terraform import Resources, Values

LISTENER = "module.compute.aws_lb_listener.https"
DATABASE = "module.database.aws_db_instance.main"
SECURITY_GROUP = "module.compute.aws_security_group.application"
QUEUE = "module.compute.aws_sqs_queue.thumbnails"
"""Which the application does without, until a version needs it."""
BUCKET = "module.storage.aws_s3_bucket.receipts"

STATE_PASSWORD = "pretend-terraform-password-Nd6vBq3XsJ"  # noqa: S105  and nobody's
"""Stands in the state and in every plan, as the password of a database does: marked as sensitive, but in clear."""


def described(settings: Settings) -> Resources:
    """Return what is there before any release."""
    route = settings.routes[0]
    resources: dict[str, Values] = {
        "module.network.aws_vpc.main": {"cidr_block": "10.0.0.0/16"},
        LISTENER: {
            "arn": route.arn,
            "port": 443,
            "protocol": "HTTPS",
            "ssl_policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "default_action": [{"type": "forward", "target_group_arn": route.blue}],
        },
        SECURITY_GROUP: {"name": "application", "ingress": [{"from_port": 8080, "to_port": 8080, "protocol": "tcp"}]},
        DATABASE: {
            "identifier": settings.database_instance,
            "engine": "postgres",
            "instance_class": "db.t4g.small",
            "password": STATE_PASSWORD,
            "storage_encrypted": True,
        },
        BUCKET: {"bucket": "receipts", "force_destroy": False},
    }
    for name, color in settings.colors.items():
        fleet = {"name": color.auto_scaling_group, "max_size": 4}
        resources[f'module.compute.aws_autoscaling_group.application["{name}"]'] = fleet
        resources[f'module.compute.aws_launch_template.application["{name}"]'] = {"name": color.auto_scaling_group}
        group = {"arn": route.target_group(name), "name": name, "port": 8080, "protocol": "HTTP"}
        resources[f'module.compute.aws_lb_target_group.application["{name}"]'] = group
    return resources
