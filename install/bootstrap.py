"""The CDK's own resources in an account and Region, without which nothing can be deployed there."""

from cdk.setting_types import Place
from install.account import Account

PARAMETER = "/cdk-bootstrap/hnb659fds/version"
NEEDED_VERSION = 6
"""What templates of our aws-cdk-lib ask for, as the assembly's manifest says; a test compares."""


def bootstrap_version(account: Account) -> int:
    """Return the version of the CDK's resources. Raises NotThere where there are none, and Unreadable."""
    return int(account.read("ssm", "get_parameter", Name=PARAMETER)["Parameter"]["Value"])


def bootstrap_command(settings: Place) -> str:
    """Return what somebody with administrator's rights runs once per account and Region."""
    return f"scripts/npm.sh exec -- cdk bootstrap aws://{settings.account}/{settings.region}"
