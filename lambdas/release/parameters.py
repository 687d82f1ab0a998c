"""The parameters in which the runbook looks up target groups, and the copy of the way back, in SSM."""

from dataclasses import dataclass
from json import loads
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class Parameters:
    """
    `ssm` is a boto3 client.

    The runbook knows one target group per color, that of the first route. `groups` is color → target group ARN.
    """

    ssm: "SSMClient"
    target_group: str
    previous_target_group: str
    way_back: str
    groups: dict[str, str]

    @classmethod
    def from_json(cls, ssm: "SSMClient", parameters: str, routes: str) -> Self:
        """Read the PARAMETERS and ROUTES variables of a function."""
        names, first_route = loads(parameters), loads(routes)[0]
        groups = {color: first_route[color] for color in ("blue", "green")}
        return cls(ssm, names["target_group"], names["previous_target_group"], names["way_back"], groups)

    def point_at(self, active: str, previous: str) -> None:
        """Write which target group serves, and which one served before."""
        self.write(self.target_group, self.groups[active])
        self.write(self.previous_target_group, self.groups[previous])

    def write(self, name: str, value: str) -> None:
        """Write one parameter, made by its first write."""
        self.ssm.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def read_parameter(ssm: "SSMClient", name: str) -> str | None:
    """Read a parameter; None when there is none."""
    try:
        return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] == "ParameterNotFound":
            return None
        raise


def readable_parameter(ssm: "SSMClient", name: str) -> str:
    """Read a parameter; empty when it cannot be read."""
    try:
        return str(ssm.get_parameter(Name=name)["Parameter"]["Value"])
    except (ClientError, BotoCoreError):
        logger.exception("A parameter could not be read", parameter=name)
        return ""
