"""The text that tells an application where its database is: a secret, or a parameter. Read whole, shown to nobody."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from lambdas.database.connection_rules import is_parameter
from lambdas.errors import AwsCallFailed

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

_CURRENT = "AWSCURRENT"
_CANDIDATE = "RUNBACK"
"""The label of a version that is written but not yet current."""


@dataclass(frozen=True)
class Version:
    """One version of the text. Its representation leaves the text out, so that no message and no log shows it."""

    version_id: str
    text: str
    finding: str = ""
    """What a human should know of how it is kept, as a sentence."""

    def __repr__(self) -> str:
        """Without the text."""
        return f"Version({self.version_id!r})"


class Connection(Protocol):
    """Where the text is kept, in versions."""

    def current(self) -> Version:
        """Read the version that applications get."""
        ...

    def replace(self, current: Version, text: str, token: str) -> str:
        """
        Make another text current, but only in the place of `current`; return its version.

        token: names the new version, where names can be given; safe to repeat with the same one.
        """
        ...

    def go_back(self, current: Version, version_id: str) -> bool:
        """Make an older version current again; return False where versions only go forward."""
        ...


@dataclass(frozen=True)
class SecretConnection:
    """In Secrets Manager. `secrets_manager` is a boto3 client."""

    secrets_manager: "SecretsManagerClient"
    arn: str

    def current(self) -> Version:
        """Raises AwsCallFailed that names the secret."""
        try:
            found = self.secrets_manager.get_secret_value(SecretId=self.arn, VersionStage=_CURRENT)
        except ClientError as error:
            raise AwsCallFailed(f"The secret {self.arn} cannot be read: {_code(error)}.") from error
        if "SecretString" not in found:
            raise AwsCallFailed(f"The secret {self.arn} holds bytes, and should hold text.")
        return Version(found["VersionId"], found["SecretString"])

    def replace(self, current: Version, text: str, token: str) -> str:
        """
        Write a version that nobody gets yet, then move AWSCURRENT to it from the version that was read.

        Two requests, because only the second can be bound to that version: a rotation in between is not overwritten,
        but makes this fail. Secrets Manager moves AWSPREVIOUS by itself.
        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
        """
        self.secrets_manager.put_secret_value(
            SecretId=self.arn, ClientRequestToken=token, SecretString=text, VersionStages=[_CANDIDATE]
        )
        self._move(current.version_id, token)
        return token

    def go_back(self, current: Version, version_id: str) -> bool:
        """Move AWSCURRENT."""
        self._move(current.version_id, version_id)
        return True

    def _move(self, from_version: str, to_version: str) -> None:
        self.secrets_manager.update_secret_version_stage(
            SecretId=self.arn, VersionStage=_CURRENT, RemoveFromVersionId=from_version, MoveToVersionId=to_version
        )


@dataclass(frozen=True)
class ParameterConnection:
    """In Parameter Store, whose latest version is the current one. `ssm` is a boto3 client."""

    ssm: "SSMClient"
    arn: str

    def current(self) -> Version:
        """Read it in clear; a String, which everybody can read who may describe it, is a finding."""
        found = self.ssm.get_parameter(Name=self.arn, WithDecryption=True)["Parameter"]
        finding = ""
        if found["Type"] != "SecureString":
            finding = (
                f"The parameter {self.arn} keeps the connection, and with it perhaps a password, as a plain "
                f"{found['Type']}. Make it a SecureString or a secret, and change the password."
            )
        return Version(str(found["Version"]), found["Value"], finding)

    def replace(self, current: Version, text: str, token: str) -> str:
        """Overwrite it as what it was: of another type or key, applications could not read it any more."""
        del token
        written = self.ssm.put_parameter(Name=self._name(), Value=text, Overwrite=True, **self._kind(current))
        return str(written["Version"])

    def go_back(self, current: Version, version_id: str) -> bool:
        """Versions only go forward."""
        del current, version_id
        return False

    def _kind(self, current: Version) -> Any:  # noqa: ANN401  the stubs want each name for itself
        """Read type, tier and key, which only the history tells without describing all parameters of the account."""
        pages = self.ssm.get_paginator("get_parameter_history").paginate(Name=self._name())
        history = [each for page in pages for each in page["Parameters"]]
        found = next(each for each in history if str(each["Version"]) == current.version_id)
        kind = {"Type": found["Type"], "Tier": found.get("Tier", "Standard")}
        return kind | ({"KeyId": found["KeyId"]} if found["Type"] == "SecureString" else {})

    def _name(self) -> str:
        """
        Return the name: a parameter of one's own account is not written by ARN.

        A name of several parts begins with a slash, which its ARN has once only.
        """
        name = self.arn.split(":parameter/", 1)[1]
        return f"/{name}" if "/" in name else name


def connection(secrets_manager: "SecretsManagerClient", ssm: "SSMClient", arn: str) -> Connection:
    """Return what keeps the text under an ARN."""
    return ParameterConnection(ssm, arn) if is_parameter(arn) else SecretConnection(secrets_manager, arn)


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
