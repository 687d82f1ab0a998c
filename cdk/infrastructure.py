"""Where Terraform plans and applies: two projects of CodeBuild, and the bucket in which plans wait."""

from pathlib import Path

from aws_cdk import Duration, RemovalPolicy, Tags
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.acknowledgements import acknowledge, acknowledge_star
from cdk.buckets import private_bucket, private_key
from cdk.names import APPLY, PLAN, Names
from cdk.settings import EnvironmentSettings, Infrastructure
from lambdas.infrastructure.rules import QUEUED_SECONDS

BUILDSPECS = Path(__file__).parent / "buildspecs"
_KEPT = Duration.days(30)
# It has bash, curl, unzip and the AWS CLI: https://docs.aws.amazon.com/codebuild/latest/userguide/available-images.html
_IMAGE = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
_WHY_OBJECTS = "The star is the objects of one bucket, whose names are made with each plan."
_WHY_STREAMS = "The star is the streams of the project's own log group, whose names are generated."
_WHY_CUSTOMERS_POLICY = "What Terraform may do in the account is the customer's to say, in a policy of his own."


class Builds(Construct):
    """
    Whoever plans may not apply, and what is applied is what was inspected.

    A pushed commit brings code that runs while Terraform plans it. So the plan's role has no more than the policies for
    reading that settings name, the state, and the plan's own place in the bucket. The commands of both builds stand in
    the projects, never in the repository. One apply runs at a time.

    Plans hold what Terraform's state holds, secrets too: a key of their own encrypts them, which only the two builds
    and the function that inspects plans may use, and they are forgotten after a month. The bucket survives the stack.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        settings: EnvironmentSettings,
        infrastructure: Infrastructure,
        inspector: iam.IRole,
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._infrastructure = infrastructure
        planner = self._role("PlanRole", PLAN, infrastructure.plan_policy_arns, ("s3:PutObject",), ("s3:GetObject",))
        applier = self._role(
            "ApplyRole",
            APPLY,
            infrastructure.apply_policy_arns,
            ("s3:GetObject",),
            # the state's lock is an object beside it, if it is not in DynamoDB, for which the policies are
            ("s3:DeleteObject", "s3:GetObject", "s3:PutObject"),
        )
        self._bucket(planner, applier, inspector)
        self._project("Plan", PLAN, planner, "Plans what Terraform would change. Changes nothing.")
        self._project("Apply", APPLY, applier, "Applies a plan that was inspected.", concurrent=1)

    def _role(
        self,
        construct_id: str,
        project: str,
        policy_arns: tuple[str, ...],
        on_plans: tuple[str, ...],
        on_state: tuple[str, ...],
    ) -> iam.Role:
        """Make a role that may check the repository out, use plans and state in these ways, and what settings say."""
        name = Names(self._settings).named(project)
        policies = [
            iam.ManagedPolicy.from_managed_policy_arn(self, f"{construct_id}Policy{number}", arn)
            for number, arn in enumerate(policy_arns)
        ]
        role = iam.Role(
            self,
            construct_id,
            description=f"{name}: what Terraform may do there.",
            assumed_by=iam.ServicePrincipal(
                "codebuild.amazonaws.com",
                conditions={
                    "StringEquals": {"aws:SourceAccount": self._settings.account},
                    "ArnLike": {"aws:SourceArn": self._settings.arn("codebuild", f"project/{name}")},
                },
            ),
            managed_policies=policies,
        )
        for arn in policy_arns:
            if ":iam::aws:" in arn:
                acknowledge(role, f"IAM4[Policy::{arn}]", _WHY_CUSTOMERS_POLICY)
        service = self._infrastructure.connection_arn.split(":")[2]
        allowed: list[tuple[list[str], list[str], str]] = [
            (
                [f"{service}:GetConnection", f"{service}:GetConnectionToken"],
                [self._infrastructure.connection_arn],
                "",
            ),
            (list(on_plans), [Names(self._settings).plans_arn], _WHY_OBJECTS),
            (list(on_state), [f"{self._infrastructure.state_bucket_arn}/*"], _WHY_OBJECTS),
            (["s3:ListBucket"], [self._infrastructure.state_bucket_arn], ""),
            (
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                [self._settings.arn("logs", f"log-group:/aws/codebuild/{name}:*")],
                _WHY_STREAMS,
            ),
        ]
        if self._infrastructure.state_key_arn:
            using = ["kms:Decrypt", *(["kms:GenerateDataKey"] if "s3:PutObject" in on_state else [])]
            allowed.append((using, [self._infrastructure.state_key_arn], ""))
        for actions, resources, why_star in allowed:
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=resources))
            for resource in (each for each in resources if "*" in each):
                acknowledge_star(role, resource, why_star)
        return role

    def _bucket(self, planner: iam.IRole, applier: iam.IRole, inspector: iam.IRole) -> None:
        key = private_key(
            self,
            f"{self._settings.prefix}-plans",
            f"Encrypts the plans of the infrastructure of {self._settings.prefix}.",
            writers={"Write": [planner]},
            readers=[planner, applier, inspector],
        )
        bucket = private_bucket(self, self._settings.plans_bucket, _KEPT, key=key)
        acknowledge(bucket, "S1", "CloudTrail's data events tell who has read a plan, in accounts that want to know.")

    def _project(
        self, construct_id: str, project: str, role: iam.IRole, description: str, concurrent: int | None = None
    ) -> None:
        """Make a project from its file in `buildspecs`. CodeBuild ends what takes longer than settings say."""
        name = Names(self._settings).named(project)
        infrastructure = self._infrastructure
        log_group = logs.LogGroup(
            self,
            f"{construct_id}Logs",
            log_group_name=f"/aws/codebuild/{name}",
            retention=logs.RetentionDays.ONE_YEAR,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
        )
        variables = {
            "RUNBACK_DIRECTORY": infrastructure.directory,
            "RUNBACK_VAR_FILE": infrastructure.var_file or "",
            "RUNBACK_TERRAFORM_VERSION": infrastructure.terraform_version,
            "RUNBACK_TERRAFORM_SHA256": infrastructure.terraform_sha256,
            "RUNBACK_PLAN_BUCKET": self._settings.plans_bucket,
        }
        made = codebuild.CfnProject(
            self,
            construct_id,
            name=name,
            description=description,
            service_role=role.role_arn,
            artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
            environment=codebuild.CfnProject.EnvironmentProperty(
                type="LINUX_CONTAINER",
                compute_type="BUILD_GENERAL1_SMALL",
                image=_IMAGE,
                environment_variables=[
                    codebuild.CfnProject.EnvironmentVariableProperty(name=each, value=value)
                    for each, value in variables.items()
                ],
            ),
            source=codebuild.CfnProject.SourceProperty(
                type="GITHUB",
                location=f"{infrastructure.repository}.git",
                # all of the history: a release may name any commit of it, by a part of its digits
                git_clone_depth=0,
                auth=codebuild.CfnProject.SourceAuthProperty(
                    type="CODECONNECTIONS", resource=infrastructure.connection_arn
                ),
                build_spec=(BUILDSPECS / f"{project}.yml").read_text(encoding="utf-8"),
            ),
            logs_config=codebuild.CfnProject.LogsConfigProperty(
                cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(
                    status="ENABLED", group_name=log_group.log_group_name
                )
            ),
            timeout_in_minutes=infrastructure.timeout_minutes,
            queued_timeout_in_minutes=QUEUED_SECONDS // 60,
            concurrent_build_limit=concurrent,
        )
        made.node.add_dependency(role)
        Tags.of(made).add("runback:environment", self._settings.environment)
        acknowledge(made, "CB4", "It makes no artifacts; plans are encrypted with a key of their own in their bucket.")
