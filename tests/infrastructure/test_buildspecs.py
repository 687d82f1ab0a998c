"""
The commands that ship for CodeBuild do what they promise: run in bash as they stand, with Terraform where there is one.

Only what is far away is stood in for: the download, and S3, whose buckets are folders. Terraform's own resource
`terraform_data` and a local state need no provider, so nothing is asked of the internet.
"""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cdk.infrastructure import BUILDSPECS
from lambdas.errors import PlanRefused
from lambdas.infrastructure.rules import InfrastructureSettings, read_plan, require_harmless
from rehearsal.world import terraform_builds
from rehearsal.world.containers import TERRAFORM, Container

pytestmark = pytest.mark.rehearsed

Build = subprocess.CompletedProcess[str]
BUCKET, KEY = "receipts-plans", "plans/release-1/release/"
KINDS = ["stand-in", *(["real"] if shutil.which("terraform") else [])]
"""The real one is asked, too, where this machine has it."""


class Builds:
    """A repository, a bucket and a state, and builds of the two projects, each in the same container."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind, self.state_file = kind, folder / "terraform.tfstate"
        real = f'exec "{shutil.which("terraform")}" "$@"'
        self.container = Container(folder, real if kind == "real" else TERRAFORM)
        self.root: dict[str, str] = {}
        self.compute: dict[str, str] = {}
        self.variables = {
            "RUNBACK_DIRECTORY": "infrastructure/production",
            "RUNBACK_VAR_FILE": "production.tfvars.json",
            "RUNBACK_TERRAFORM_VERSION": "1.11.4",
            "RUNBACK_TERRAFORM_SHA256": self.container.archive_digest,
            "RUNBACK_PLAN_BUCKET": BUCKET,
            "RUNBACK_PLAN_KEY": KEY,
            "RUNBACK_TARGETS": "",
        }

    def commit(self, root: dict[str, str], compute: dict[str, str] | None = None) -> None:
        """Let the repository describe these resources, name and input, outside of a module and in `module.compute`."""
        self.root, self.compute = root, compute or {}

    def plan(self, targets: str = "") -> Build:
        return self._build("plan", {"RUNBACK_TARGETS": targets})

    def apply(self, **variables: str) -> Build:
        inspected = {
            "RUNBACK_PLAN_DIGEST": self.kept("digest").decode().strip(),
            "RUNBACK_INSPECTED_DIGEST": hashlib.sha256(self.kept("plan.json")).hexdigest(),
        }
        return self._build("apply", {**inspected, **variables})

    def kept(self, name: str) -> bytes:
        return self.object(name).read_bytes()

    def object(self, name: str) -> Path:
        return self.container.bucket(BUCKET) / f"{KEY}{name}"

    @property
    def state(self) -> dict[str, Any]:
        """Return the inputs of all that there is, by address."""
        if not self.state_file.exists():
            return {}
        resources = json.loads(self.state_file.read_text())["resources"]
        if self.kind == "stand-in":
            return {address: values["input"] for address, values in resources.items()}
        addresses = [".".join(filter(None, (each.get("module"), each["type"], each["name"]))) for each in resources]
        values = [each["instances"][0]["attributes"]["input"]["value"] for each in resources]
        return dict(zip(addresses, values, strict=True))

    def _build(self, project: str, variables: dict[str, str]) -> Build:
        self._check_out()
        buildspec = (BUILDSPECS / f"{project}.yml").read_text(encoding="utf-8")
        return self.container.run(buildspec, {**self.variables, **variables})

    def _check_out(self) -> None:
        """Clone the commit anew: builds share nothing but state and bucket."""
        shutil.rmtree(self.container.source, ignore_errors=True)
        directory = self.container.source / self.variables["RUNBACK_DIRECTORY"]
        (directory / "compute").mkdir(parents=True)
        root = {
            "terraform": {"backend": {"local": {"path": str(self.state_file)}}},
            "variable": {"environment": {"type": "string"}},
            "module": {"compute": {"source": "./compute"}},
            **described(self.root),
        }
        (directory / "main.tf.json").write_text(json.dumps(root))
        (directory / "compute" / "main.tf.json").write_text(json.dumps(described(self.compute)))
        (directory / "production.tfvars.json").write_text(json.dumps({"environment": "production"}))
        by_address = {
            **{f"terraform_data.{name}": {"input": each} for name, each in self.root.items()},
            **{f"module.compute.terraform_data.{name}": {"input": each} for name, each in self.compute.items()},
        }
        for_stand_in = {"resources": by_address, "variables": ["environment"], "state": str(self.state_file)}
        (directory / "terraform.json").write_text(json.dumps(for_stand_in))


def described(resources: dict[str, str]) -> dict[str, Any]:
    given = {name: {"input": each} for name, each in resources.items()}
    return {"resource": {"terraform_data": given}} if given else {}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def builds(kind: str, tmp_path: Path) -> Builds:
    made = Builds(tmp_path / "build", kind)
    made.commit({"bucket": "a"}, {"queue": "a"})
    return made


@pytest.fixture(scope="module")
def state_of_first_commit(kind: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    made = Builds(tmp_path_factory.mktemp("first") / "build", kind)
    made.commit({"bucket": "a"}, {"queue": "a"})
    succeeded(made.plan())
    succeeded(made.apply())
    return made.state_file.read_text()


@pytest.fixture
def applied(builds: Builds, state_of_first_commit: str) -> Builds:
    """Return them with the first commit there."""
    builds.state_file.write_text(state_of_first_commit)
    assert {"terraform_data.bucket": "a", "module.compute.terraform_data.queue": "a"} == builds.state
    return builds


def succeeded(build: Build) -> None:
    assert 0 == build.returncode, build.stdout + build.stderr


def failed(build: Build, said: str) -> None:
    assert 0 != build.returncode
    assert said in build.stdout + build.stderr


def test_a_plan_is_left_with_its_json_and_its_digest(builds: Builds) -> None:
    """And changes nothing. The names are those that the rehearsal's builds leave, too."""
    succeeded(builds.plan())
    assert {} == builds.state
    names = {path.name for path in builds.object("").iterdir()}
    assert {terraform_builds.FILE, terraform_builds.SHOWN, terraform_builds.DIGEST_FILE} == names
    assert sha256(builds.object("plan.bin")) == builds.kept("digest").decode().strip()
    plan = read_plan(builds.kept("plan.json").decode())
    assert "adds module.compute.terraform_data.queue" in plan.summary
    assert "adds terraform_data.bucket" in plan.summary


def test_a_commit_that_is_there_plans_nothing(applied: Builds) -> None:
    """So that its release need not apply anything."""
    succeeded(applied.plan())
    assert 0 == read_plan(applied.kept("plan.json").decode()).size


def test_what_was_inspected_is_what_is_applied(applied: Builds) -> None:
    """Even if the repository says something else by then."""
    applied.commit({"bucket": "b"}, {"queue": "a"})
    succeeded(applied.plan())
    applied.commit({"bucket": "c"}, {"queue": "c"})
    succeeded(applied.apply())
    assert {"terraform_data.bucket": "b", "module.compute.terraform_data.queue": "a"} == applied.state


def test_targets_limit_a_plan(applied: Builds) -> None:
    applied.commit({"bucket": "b"}, {"queue": "b"})
    succeeded(applied.plan(targets='module.compute terraform_data.missing["*"]'))
    succeeded(applied.apply())
    assert {"terraform_data.bucket": "a", "module.compute.terraform_data.queue": "b"} == applied.state


def test_a_plan_that_destroys_is_refused_by_its_json(applied: Builds) -> None:
    applied.commit({"bucket": "a"})
    succeeded(applied.plan())
    settings = InfrastructureSettings("plan", "apply", BUCKET, 60, (), (), frozenset())
    with pytest.raises(PlanRefused, match=r"destroys module\.compute\.terraform_data\.queue"):
        require_harmless(read_plan(applied.kept("plan.json").decode()), settings)


@pytest.mark.parametrize("exchanged", ["plan.bin", "RUNBACK_PLAN_DIGEST", "RUNBACK_INSPECTED_DIGEST"])
def test_a_plan_that_nobody_has_inspected_is_not_applied(applied: Builds, exchanged: str) -> None:
    """Whoever can push can run code in the build of a plan, and exchange what it leaves."""
    applied.commit({"bucket": "b"}, {"queue": "a"})
    succeeded(applied.plan())
    if exchanged == "plan.bin":
        digest = applied.kept("digest").decode().strip()
        applied.commit({"bucket": "evil"}, {"queue": "evil"})
        succeeded(applied.plan())
        build = applied.apply(RUNBACK_PLAN_DIGEST=digest)
    else:
        build = applied.apply(**{exchanged: "0" * 64})
    failed(build, "FAILED")
    assert {"terraform_data.bucket": "a", "module.compute.terraform_data.queue": "a"} == applied.state


def test_a_plan_that_the_state_has_left_behind_is_not_applied(applied: Builds) -> None:
    """Somebody has applied something else in between."""
    applied.commit({"bucket": "b"}, {"queue": "a"})
    succeeded(applied.plan())
    succeeded(applied.apply())
    failed(applied.apply(), "Saved plan is stale")
    assert "b" == applied.state["terraform_data.bucket"]


def test_another_terraform_than_the_one_of_the_settings_is_not_run(builds: Builds) -> None:
    builds.variables["RUNBACK_TERRAFORM_SHA256"] = "0" * 64
    failed(builds.plan(), "FAILED")
    assert not builds.object("plan.json").exists()
    assert "terraform/1.11.4/terraform_1.11.4_linux_amd64.zip" in builds.container.downloads[0]


def test_a_plan_that_cannot_be_made_leaves_none(builds: Builds) -> None:
    """A half one could be taken for a whole one."""
    builds.variables["RUNBACK_VAR_FILE"] = ""
    failed(builds.plan(), "No value for required variable")
    assert not builds.object("").exists()
