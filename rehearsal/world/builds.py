"""
CodeBuild, of which moto knows the requests alone: here a build takes its time, does its work, fails, and is stopped.

Projects are moto's. What a build of one does is given by `does`; it acts as the project's role, so that its requests
are judged as everybody's. https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html
"""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from threading import Thread
from typing import Any, Self

import boto3
from moto.codebuild.exceptions import InvalidInputException, ResourceNotFoundException
from moto.codebuild.models import codebuild_backends
from moto.codebuild.responses import CodeBuildResponse
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult

from rehearsal.clock import Clock, ClockEvent
from rehearsal.engine.calls import access_key_of, parameters
from rehearsal.world.overlay import Overlay

SUCCEEDED, FAILED, STOPPED, TIMED_OUT, IN_PROGRESS = "SUCCEEDED", "FAILED", "STOPPED", "TIMED_OUT", "IN_PROGRESS"

TOKEN_SECONDS = 300.0
"""How long CodeBuild remembers a token: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html."""

_SECONDS_BEFORE = {"QUEUED": 2.0, "PROVISIONING": 10.0, "DOWNLOAD_SOURCE": 3.0, "INSTALL": 8.0, "PRE_BUILD": 2.0}
_SECONDS_AFTER = {"POST_BUILD": 2.0, "UPLOAD_ARTIFACTS": 0.0, "FINALIZING": 3.0}
"""What a small Linux build takes for what is not its work, seen on AWS within a factor of two; not promised by it."""
_SUBMITTED, _WORK, _COMPLETED = "SUBMITTED", "BUILD", "COMPLETED"
_SENT = {"projectName", "sourceVersion", "environmentVariablesOverride", "idempotencyToken"}
_CONNECTION_RIGHTS = ("GetConnection", "GetConnectionToken")
"""Of `codeconnections`, or of what that was called before, as the connection's ARN has it: see
https://docs.aws.amazon.com/codebuild/latest/userguide/connections-github-app.html
"""
_LOG_RIGHTS = ("logs:CreateLogStream", "logs:PutLogEvents")

_OPERATOR = "OPERATOR000000000000"
"""Looks at rights for CodeBuild, and is nobody whose requests are judged."""

Values = Mapping[str, Any]


class BuildFailed(Exception):
    """The commands of a build end with an error; the message is what its log says last."""


class _Ended(Exception):
    """Not an error: the way out of a build that does not succeed."""

    def __init__(self, status: str, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _LimitExceeded(ServiceException):
    """What StartBuild answers when a project may not have another build."""

    code = "AccountLimitExceededException"
    message = "Cannot have more than 1 builds in queue for the account"


@dataclass
class Build:
    """One build; `stopped` wakes it from whatever it waits for."""

    build_id: str
    project: str
    role: str
    number: int
    source_version: str
    variables: Mapping[str, str]
    """Of the project and the request, which is what the commands find."""
    started: datetime
    stopped: ClockEvent
    timeout_seconds: float
    status: str = IN_PROGRESS
    phases: list[dict[str, Any]] = field(default_factory=list)
    ended: datetime | None = None

    @property
    def is_running(self) -> bool:
        """Say whether it may still do something."""
        return self.status == IN_PROGRESS

    @property
    def phase(self) -> str:
        """Where it is."""
        return str(self.phases[-1]["phaseType"])


Work = Callable[["Build"], Iterator[float]]
"""What the commands of a build do: yields the simulated seconds that each takes, or raises BuildFailed."""


class Builds:
    """All builds of the account, the newest last; each works in a thread of its own."""

    def __init__(
        self,
        clock: Clock,
        account: str,
        region: str,
        *,
        account_lock: AbstractContextManager[Any],
        log_directory: Path,
    ) -> None:
        self._clock = clock
        self._place = (account, region)
        self.account_lock = account_lock
        self._log_directory = log_directory
        self._overlay = Overlay()
        self._work: dict[str, Work] = {}
        self._builds: dict[str, Build] = {}
        self._tokens: dict[str, tuple[float, Values, Build]] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._workers: list[Thread] = []
        self._chance = Random(0)

    # -- the overlay

    def install(self) -> None:
        """Let builds really run."""
        builds, overlay = self, self._overlay

        def create_project(moto: Callable[..., ActionResult], response: CodeBuildResponse) -> ActionResult:
            made, asked = moto(response), _asked(response, "CreateProject")
            limit = {"concurrentBuildLimit"} & asked.keys()  # which moto forgets
            builds._project(asked["name"]).update({each: asked[each] for each in limit})
            return made

        def start_build(response: CodeBuildResponse) -> ActionResult:
            return ActionResult({"build": builds._described(builds._start(_asked(response, "StartBuild")))})

        def batch_get_builds(response: CodeBuildResponse) -> ActionResult:
            ids = _asked(response, "BatchGetBuilds")["ids"]
            found = [builds._described(builds._builds[each]) for each in ids if each in builds._builds]
            unknown = [each for each in ids if each not in builds._builds]
            return ActionResult({"builds": found, "buildsNotFound": unknown})

        def list_builds_for_project(response: CodeBuildResponse) -> ActionResult:
            asked = _asked(response, "ListBuildsForProject")
            builds._project(asked["projectName"])
            ids = [each.build_id for each in builds.of_project(asked["projectName"])]
            return ActionResult({"ids": ids if asked.get("sortOrder") == "ASCENDING" else ids[::-1]})

        def stop_build(response: CodeBuildResponse) -> ActionResult:
            build_id = _asked(response, "StopBuild")["id"]
            if build_id not in builds._builds:
                raise ResourceNotFoundException(f"Build {build_id} does not exist")
            builds._builds[build_id].stopped.set()
            return ActionResult({"build": builds._described(builds._builds[build_id])})

        overlay.wrap(CodeBuildResponse, "create_project", create_project)
        overlay.replace(CodeBuildResponse, "start_build", start_build)
        overlay.replace(CodeBuildResponse, "batch_get_builds", batch_get_builds)
        overlay.replace(CodeBuildResponse, "list_builds_for_project", list_builds_for_project)
        overlay.replace(CodeBuildResponse, "stop_build", stop_build)

    def uninstall(self) -> None:
        """Stop what still runs, and leave moto as it was."""
        self._overlay.uninstall()
        for build in self._builds.values():
            build.stopped.set()
        for worker in self._workers:
            worker.join()

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    # -- what the world says and asks

    def does(self, project: str, work: Work) -> None:
        """Say what the builds of a project do from now on."""
        self._work[project] = work

    def log_to(self, directory: Path) -> None:
        """Let logs go to another folder."""
        self._log_directory = directory

    def warm_up(self) -> None:
        """Make now what the first build of each project would need a while for."""
        account, region = self._place
        for project in codebuild_backends[account][region].codebuild_projects.values():
            self._client("s3", access_key_of(project.service_role))
        self.operator("iam")

    def all(self) -> list[Build]:
        """Return every build of the account, in the order of their start."""
        return list(self._builds.values())

    def of_project(self, project: str) -> list[Build]:
        """Return its builds, in the order of their start."""
        return [each for each in self._builds.values() if each.project == project]

    def running(self) -> list[Build]:
        """Return all builds that have not ended."""
        return [each for each in self._builds.values() if each.is_running]

    def buildspec(self, build: Build) -> str:
        """Return what the build's project was made with: its commands."""
        return str(self._project(build.project)["source"]["buildspec"])

    def operator(self, service: str) -> Any:
        """Return a boto3 client of a service for what is no build's request."""
        return self._client(service, _OPERATOR)

    def client(self, service: str, build: Build) -> Any:
        """Return a boto3 client of a service that signs as a build's role."""
        return self._client(service, access_key_of(build.role))

    def log(self, build: Build, text: str) -> None:
        """Write what a command of a build prints."""
        with (self._log_directory / f"{build.project}.log").open("a", encoding="utf-8") as log:
            log.write(f"{build.build_id.rpartition(':')[2]} {text}\n")

    # -- requests

    def _start(self, asked: Values) -> Build:
        if unknown := asked.keys() - _SENT:
            raise NotImplementedError(f"the rehearsal's CodeBuild does not know {sorted(unknown)} of StartBuild")
        project = self._project(asked["projectName"])
        if asked["projectName"] not in self._work:
            raise NotImplementedError(f"nobody has said what a build of {asked['projectName']} does")
        token, now = asked.get("idempotencyToken"), self._clock.seconds()
        if token in self._tokens:
            given_at, given, build = self._tokens[token]
            if now - given_at <= TOKEN_SECONDS:
                if given != asked:
                    raise InvalidInputException(f"Idempotency token {token} was used with other parameters")
                return build
        if project.get("concurrentBuildLimit") and len(self._running_of(asked["projectName"])) >= int(
            project["concurrentBuildLimit"]
        ):
            raise _LimitExceeded
        build = self._begun(project, asked)
        if token:
            self._tokens[token] = (now, asked, build)
        return build

    def _begun(self, project: Values, asked: Values) -> Build:
        own = project["environment"].get("environmentVariables", [])
        variables = [*own, *asked.get("environmentVariablesOverride", [])]
        build = Build(
            build_id=f"{asked['projectName']}:{uuid.UUID(int=self._chance.getrandbits(128), version=4)}",
            project=asked["projectName"],
            role=project["serviceRole"],
            number=len(self.of_project(asked["projectName"])) + 1,
            source_version=asked.get("sourceVersion") or project.get("sourceVersion", ""),
            variables={each["name"]: each["value"] for each in variables},
            started=self._clock.now(),
            stopped=self._clock.event(),
            timeout_seconds=60.0 * (project.get("timeoutInMinutes") or 60),
        )
        self._enter(build, _SUBMITTED)
        self._enter(build, "QUEUED")
        self._builds[build.build_id] = build
        worker = self._clock.thread(self._run, (build, project), name=f"build-{build.project}", daemon=True)
        self._workers.append(worker)
        worker.start()
        return build

    def _running_of(self, project: str) -> list[Build]:
        return [each for each in self.of_project(project) if each.is_running]

    def _project(self, name: str) -> dict[str, Any]:
        account, region = self._place
        found = codebuild_backends[account][region].codebuild_projects.get(name)
        if found is None:
            arn = f"arn:aws:codebuild:{region}:{account}:project/{name}"
            raise ResourceNotFoundException(f"Project cannot be found: {arn}")
        return found.project_metadata

    def _described(self, build: Build) -> dict[str, Any]:
        """As BatchGetBuilds tells it; what is not known yet is left out."""
        account, region = self._place
        stream = build.build_id.rpartition(":")[2]
        group = f"/aws/codebuild/{build.project}"
        description = {
            "id": build.build_id,
            "arn": f"arn:aws:codebuild:{region}:{account}:build/{build.build_id}",
            "buildNumber": build.number,
            "startTime": build.started,
            "endTime": build.ended,
            "currentPhase": build.phase,
            "buildStatus": build.status,
            "sourceVersion": build.source_version,
            "projectName": build.project,
            "phases": [dict(each) for each in build.phases],
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": [
                    {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in build.variables.items()
                ],
            },
            "serviceRole": build.role,
            "logs": {
                "groupName": group,
                "streamName": stream,
                "deepLink": f"https://console.aws.amazon.com/cloudwatch/home?region={region}"
                f"#logEvent:group={group};stream={stream}",
            },
            "buildComplete": not build.is_running,
        }
        return {name: value for name, value in description.items() if value is not None}

    # -- one build, in its thread

    def _run(self, build: Build, project: Values) -> None:
        ends_at = self._clock.seconds() + build.timeout_seconds
        status, context = "FAULT", {"statusCode": "INTERNAL_ERROR", "message": "The rehearsal itself failed."}
        try:
            for phase, seconds in _SECONDS_BEFORE.items():
                self._enter(build, phase)
                self._wait(build, seconds, ends_at)
                self._require_rights(build, project, phase)
            self._enter(build, _WORK)
            for seconds in self._work[build.project](build):
                self._wait(build, seconds, ends_at)
            for phase, seconds in _SECONDS_AFTER.items():
                self._enter(build, phase)
                self._wait(build, seconds, ends_at)
            status, context = SUCCEEDED, {}
        except BuildFailed as failed:
            self.log(build, str(failed))
            message = "Error while executing command. Reason: exit status 1"
            status, context = FAILED, {"statusCode": "COMMAND_EXECUTION_ERROR", "message": message}
        except _Ended as ended:
            status, context = ended.status, {"statusCode": ended.code, "message": ended.message}
        finally:  # whatever happened, nobody shall wait for it for ever
            with self.account_lock:
                self._leave(build, status, context)
                build.phases.append({"phaseType": _COMPLETED, "startTime": self._clock.now()})
                build.status, build.ended = status, self._clock.now()

    def _wait(self, build: Build, seconds: float, ends_at: float) -> None:
        build.stopped.wait(min(seconds, max(0.0, ends_at - self._clock.seconds())))
        if build.stopped.is_set():
            raise _Ended(STOPPED, "", "Build was stopped")
        if self._clock.seconds() >= ends_at:
            raise _Ended(TIMED_OUT, "BUILD_TIMED_OUT", "Build has timed out.")

    def _enter(self, build: Build, phase: str) -> None:
        if build.phases and build.phase == phase:
            return
        with self.account_lock:
            if build.phases:
                self._leave(build, SUCCEEDED, {})
            build.phases.append({"phaseType": phase, "startTime": self._clock.now()})

    def _leave(self, build: Build, status: str, context: Values) -> None:
        last, now = build.phases[-1], self._clock.now()
        last |= {"phaseStatus": status, "endTime": now, "durationInSeconds": int((now - last["startTime"]).seconds)}
        if context:
            last["contexts"] = [dict(context)]

    def _require_rights(self, build: Build, project: Values, phase: str) -> None:
        """Look whether the role may do what CodeBuild itself does as it: fetch the source, and keep a log."""
        account, region = self._place
        if phase == "PROVISIONING":
            stream = f"{_log_group(project)}:log-stream:{build.build_id.rpartition(':')[2]}"
            self._require(build, _LOG_RIGHTS, f"arn:aws:logs:{region}:{account}:log-group:{stream}")
        auth = project["source"].get("auth", {})
        if phase == "DOWNLOAD_SOURCE" and auth.get("type") == "CODECONNECTIONS":
            connection = str(auth["resource"])
            service = connection.split(":")[2]
            self._require(build, tuple(f"{service}:{each}" for each in _CONNECTION_RIGHTS), connection)

    def _require(self, build: Build, actions: tuple[str, ...], resource: str) -> None:
        simulated = self.operator("iam").simulate_principal_policy(
            PolicySourceArn=build.role, ActionNames=list(actions), ResourceArns=[resource]
        )["EvaluationResults"]
        for each in simulated:
            if each["EvalDecision"] != "allowed":
                message = f"Service role {build.role} does not allow {each['EvalActionName']} on {resource}"
                raise _Ended(FAILED, "ACCESS_DENIED", message)

    def _client(self, service: str, access_key: str) -> Any:
        if (service, access_key) not in self._clients:
            with self._clock.at_real_speed():
                self._clients[service, access_key] = boto3.client(
                    service,
                    region_name=self._place[1],
                    aws_access_key_id=access_key,
                    aws_secret_access_key="rehearsal",  # noqa: S106  nobody's
                )
        return self._clients[service, access_key]


def _asked(response: CodeBuildResponse, operation: str) -> dict[str, Any]:
    return parameters(response, "codebuild", operation)


def _log_group(project: Values) -> str:
    configured = project.get("logsConfig", {}).get("cloudWatchLogs", {})
    return str(configured.get("groupName") or f"/aws/codebuild/{project['name']}")
