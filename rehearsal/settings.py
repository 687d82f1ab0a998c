"""What a rehearsal reads of `environments/*.toml`: the names of the resources that a customer would have."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

FOLDER = Path("environments")


class UnknownEnvironment(Exception):
    """There are no settings for an environment; the message names those that there are."""


@dataclass(frozen=True)
class Route:
    """One place where traffic is divided. `arn` and `test_arn` are listeners or listener rules."""

    name: str
    arn: str
    test_arn: str
    blue: str
    green: str

    def target_group(self, color: str) -> str:
        """Return the target group ARN of a color."""
        return self.blue if color == "blue" else self.green


@dataclass(frozen=True)
class Color:
    """The fleet of a color."""

    auto_scaling_group: str
    launch_template_id: str
    instance_role_arn: str


@dataclass(frozen=True)
class Settings:
    """One environment's resources, and where Runback's stack for it is."""

    service: str
    environment: str
    account: str
    region: str
    routes: tuple[Route, ...]
    colors: dict[str, Color]
    database_instance: str

    @property
    def stack_name(self) -> str:
        """The name of the environment's stack in `cdk.out`."""
        return f"Runback-{self.service}-{self.environment}"

    @classmethod
    def read(cls, environment: str, folder: Path = FOLDER) -> Self:
        """Read an environment's settings. The stack's synthesis has checked them already."""
        path = folder / f"{environment}.toml"
        if not path.exists():
            known = ", ".join(sorted(each.stem for each in folder.glob("*.toml")))
            raise UnknownEnvironment(f"There is no environment {environment!r}; {folder}/ has: {known}")
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(
            service=given["service"],
            environment=given["environment"],
            account=given["account"],
            region=given["region"],
            routes=tuple(_route(route) for route in given["routes"]),
            colors={name: Color(**color) for name, color in given["colors"].items()},
            database_instance=given["database"]["instance"],
        )


def _route(given: dict[str, Any]) -> Route:
    return Route(
        name=given["name"],
        arn=given.get("listener_arn") or given["rule_arn"],
        test_arn=given.get("test_listener_arn") or given["test_rule_arn"],
        blue=given["blue"],
        green=given["green"],
    )
