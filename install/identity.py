"""Whose credentials these are."""

from botocore.exceptions import BotoCoreError, ClientError

from cdk.setting_types import Place
from install.account import Account


class WrongCredentials(Exception):
    """There are no credentials that AWS accepts, or they are of another account; the message says which."""


def require_account(settings: Place, account: Account) -> str:
    """Return the ARN of whoever asks. Raises WrongCredentials unless it is somebody of the account of settings."""
    try:
        caller = account.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise WrongCredentials(
            f"AWS accepts no credentials here: {error}\n"
            f"Log in to account {settings.account}, or name a profile: AWS_PROFILE=… make …"
        ) from error
    if caller["Account"] != settings.account:
        raise WrongCredentials(
            f"These credentials are of account {caller['Account']} ({caller['Arn']}), "
            f"but settings of {settings.environment} say {settings.account}.\n"
            f"Use others (AWS_PROFILE=…), or correct `account` in environments/{settings.environment}.toml."
        )
    return str(caller["Arn"])
