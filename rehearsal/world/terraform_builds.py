"""What the builds of a plan and of an apply do, as `cdk/buildspecs/` has it, with a Terraform without providers."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearsal.clock import Clock
from rehearsal.settings import Settings
from rehearsal.world.builds import Build, BuildFailed, Builds
from rehearsal.world.containers import Container
from rehearsal.world.customer_infrastructure import described
from rehearsal.world.terraform import Change, Plan, Terraform, TerraformFailed, Values

KEY, TARGETS, BUCKET = "RUNBACK_PLAN_KEY", "RUNBACK_TARGETS", "RUNBACK_PLAN_BUCKET"
DIGEST, INSPECTED = "RUNBACK_PLAN_DIGEST", "RUNBACK_INSPECTED_DIGEST"
"""Variables of the builds."""
FILE, SHOWN, DIGEST_FILE = "plan.bin", "plan.json", "digest"
"""What a plan's build leaves behind, each with the prefix before it."""


@dataclass
class TerraformBuilds:
    """Plans and applies. `init_seconds` and `refresh_seconds` are what Terraform takes before, simulated."""

    builds: Builds
    terraform: Terraform
    clock: Clock
    init_seconds: float = 8.0
    refresh_seconds: float = 15.0

    def plan(self, build: Build) -> Iterator[float]:
        """Plan what the commit describes, and keep the plan with its digest."""
        yield self.init_seconds
        yield self.refresh_seconds
        targets = tuple(build.variables.get(TARGETS, "").split())
        plan = self.terraform.plan(build.source_version, targets, f"{self.clock.now():%Y-%m-%dT%H:%M:%SZ}")
        self.builds.log(build, _summary(plan))
        kept = {FILE: plan.file, SHOWN: _printed(plan.shown), DIGEST_FILE: _digest(plan.file).encode()}
        for name, content in kept.items():
            self._s3(build).put_object(Bucket=build.variables[BUCKET], Key=_key(build, name), Body=content)

    def apply(self, build: Build) -> Iterator[float]:
        """Apply exactly the plan that was approved, one resource after the other."""
        yield self.init_seconds
        kept = self._s3(build).get_object(Bucket=build.variables[BUCKET], Key=_key(build, FILE))["Body"].read()
        found = (_digest(kept), _digest(_printed(self.terraform.show(kept))))
        if found != (build.variables[DIGEST], build.variables[INSPECTED]):
            raise BuildFailed(f"The plan is not the one that was inspected, {build.variables[DIGEST]}.")
        try:
            for change in self.terraform.apply(kept):
                self.builds.log(build, f"{change.address}: {'/'.join(change.actions)}")
                yield self.terraform.change_seconds
        except TerraformFailed as failed:
            raise BuildFailed(str(failed)) from None

    def _s3(self, build: Build) -> Any:
        return self.builds.client("s3", build)


@dataclass
class ShippedBuilds:
    """
    Plans and applies by the commands that the template has for the two projects, each build in a folder of its own.

    What they copy from and to S3 is asked for and put there as the build's role, once they have ended. A change of the
    state is seen at once then, and takes its time afterwards.
    """

    builds: Builds
    terraform: Terraform
    clock: Clock
    folder: Path
    seconds: float = 20.0

    def run(self, build: Build) -> Iterator[float]:
        """Run them. Raises BuildFailed with all that was printed."""
        folder = self.folder.resolve()  # its commands go to other folders
        container = Container(folder / build.build_id.rpartition(":")[2])
        self._check_out(container, build)
        self._lay_down_plan(container, build)
        yield self.seconds
        variables = {**build.variables, "RUNBACK_TERRAFORM_SHA256": container.archive_digest}
        with self.clock.at_real_speed():
            done = container.run(self.builds.buildspec(build), variables)
        printed = f"{done.stdout}{done.stderr}".strip()
        self.builds.log(build, printed)
        self._copy(container, build)
        yield len(self._take_over(container)) * self.terraform.change_seconds
        if done.returncode:
            raise BuildFailed(printed)

    def _check_out(self, container: Container, build: Build) -> None:
        directory = container.source / build.variables["RUNBACK_DIRECTORY"]
        directory.mkdir(parents=True)
        given = build.variables.get("RUNBACK_VAR_FILE", "")
        if given:
            (directory / given).write_text(json.dumps(dict(self.terraform.variables)), encoding="utf-8")
        described = {
            "resources": self.terraform.configuration(build.source_version),
            "variables": list(self.terraform.variables),
            "state": str(_state(container)),
            "fails_at": sorted(self.terraform.fails_at),
        }
        (directory / "terraform.json").write_text(json.dumps(described), encoding="utf-8")
        there = {"serial": self.terraform.serial, "resources": self.terraform.state}
        _state(container).write_text(json.dumps(there), encoding="utf-8")

    def _lay_down_plan(self, container: Container, build: Build) -> None:
        """Let the commands find what is in the bucket, whether or not their role may read it: that shows later."""
        s3, bucket = self.builds.operator("s3"), build.variables[BUCKET]
        for each in s3.list_objects_v2(Bucket=bucket, Prefix=build.variables[KEY]).get("Contents", []):
            path = container.bucket(bucket) / each["Key"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read())

    def _copy(self, container: Container, build: Build) -> None:
        s3 = self.builds.client("s3", build)
        for origin, target in container.copied:
            bucket, _, key = (origin if origin.startswith("s3://") else target).removeprefix("s3://").partition("/")
            if origin.startswith("s3://"):
                s3.get_object(Bucket=bucket, Key=key)
            else:
                s3.put_object(Bucket=bucket, Key=key, Body=(container.bucket(bucket) / key).read_bytes())

    def _take_over(self, container: Container) -> list[Change]:
        """Let the state be what the commands have made of it; return their changes."""
        left = json.loads(_state(container).read_text(encoding="utf-8"))
        applied = [Change(*each) for each in left.get("applied", [])]
        with self.builds.account_lock:
            self.terraform.serial, self.terraform.state = left["serial"], left["resources"]
            self.terraform.applied += applied
        return applied


@contextmanager
def building(
    settings: Settings,
    clock: Clock,
    *,
    account_lock: AbstractContextManager[Any],
    log_directory: Path,
    commits: Mapping[str, Mapping[str, Values | None]],
    containers: Path | None = None,
) -> Iterator[tuple[Builds, Terraform]]:
    """
    Let the two projects of an environment plan and apply what the customer's configuration describes.

    By the commands that ship, if there is a folder for their containers; else by a model of them.
    """
    place = (settings.account, settings.region)
    with Builds(clock, *place, account_lock=account_lock, log_directory=log_directory) as builds:
        yield builds, terraform_of(settings, builds, clock, commits, containers)


def terraform_of(
    settings: Settings,
    builds: Builds,
    clock: Clock,
    commits: Mapping[str, Mapping[str, Values | None]],
    containers: Path | None = None,
) -> Terraform:
    """Let the two projects of an environment do their work, as `building` says; return what their Terraform knows."""
    terraform = Terraform(described(settings), commits, variables={"environment": settings.environment})
    works = TerraformBuilds(builds, terraform, clock)
    shipped = ShippedBuilds(builds, terraform, clock, containers) if containers else None
    builds.does(f"{settings.prefix}-plan", shipped.run if shipped else works.plan)
    builds.does(f"{settings.prefix}-apply", shipped.run if shipped else works.apply)
    return terraform


def _state(container: Container) -> Path:
    return container.folder / "terraform.tfstate"


def _printed(shown: Values) -> bytes:
    return json.dumps(shown).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _key(build: Build, name: str) -> str:
    return f"{build.variables[KEY]}{name}"


def _summary(plan: Plan) -> str:
    counted = {verb: sum(verb in each.actions for each in plan.changes) for verb in ("create", "update", "delete")}
    if not any(counted.values()):
        return "No changes. Your infrastructure matches the configuration."
    return "Plan: {create} to add, {update} to change, {delete} to destroy.".format(**counted)
