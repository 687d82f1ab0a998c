"""Where approvers answer a release or a restore of the database, and how it becomes known who has asked for it."""

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from cdk.functions import Functions
from cdk.names import CALLER, Names
from cdk.settings import Approval, EnvironmentSettings

_ANSWER, _NOTIFY, _ASK = "operate.answer_by_url", "notices.notify", "gates.ask_release_approval"
_RESTORES = ("restore-database", "rollback", "operate")
"""Whoever starts one of these can ask for a restore, or answer one."""
_RELEASES = ("deploy", "operate")
"""The same for a release."""


class ApprovalUrl(Construct):
    """
    The function URL to which approvers send their answer, signed with their own credentials.

    Lambda hands the caller's ARN to the function only with AuthType AWS_IAM. The policy of the function lets exactly
    these approvers in, for two actions, as every URL needs since October 2025; the second holds for the URL alone, so
    nobody can call the function with a caller that he has made up. What else in the account may call functions is up to
    the account's own policies; the function itself asks again whether the caller is an approver.
    https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
    """

    def __init__(self, scope: Construct, construct_id: str, approval: Approval, functions: Functions) -> None:
        super().__init__(scope, construct_id)
        function = functions.unpublished(_ANSWER)
        url = lambda_.CfnUrl(
            self,
            "Url",
            auth_type=lambda_.FunctionUrlAuthType.AWS_IAM.value,
            target_function_arn=function.function_arn,
        )
        for number, approver in enumerate(approval.approver_arns):
            lambda_.CfnPermission(
                self,
                f"Url{number}",
                function_name=function.function_arn,
                principal=approver,
                action="lambda:InvokeFunctionUrl",
                function_url_auth_type=url.auth_type,
            )
            lambda_.CfnPermission(
                self,
                f"Function{number}",
                function_name=function.function_arn,
                principal=approver,
                action="lambda:InvokeFunction",
                invoked_via_function_url=True,
            )
        for module in (_NOTIFY, *([_ASK] if approval.releases else [])):
            functions.unpublished(module).add_environment("APPROVAL_URL", url.attr_function_url)


class NoteCallers(Construct):
    """
    Have it written down who starts a machine that asks for an approval, or gives an answer.

    Step Functions tells nobody. CloudTrail does, if the account has a trail that logs management events in this Region,
    and EventBridge passes it on. An event that is lost leaves what nobody can approve by URL, which says so;
    that is no rollback that is missing, so it goes into no dead-letter queue.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
    """

    def __init__(
        self, scope: Construct, construct_id: str, settings: EnvironmentSettings, note_caller: lambda_.IFunction
    ) -> None:
        super().__init__(scope, construct_id)
        names = Names(settings)
        events.Rule(
            self,
            "Rule",
            rule_name=names.named(CALLER),
            description="Has it written down who has started a machine that asks for an approval, or gives an answer.",
            event_pattern=events.EventPattern(
                account=[settings.account],
                source=["aws.states"],
                detail_type=["AWS API Call via CloudTrail"],
                detail={
                    "eventSource": ["states.amazonaws.com"],
                    "eventName": ["StartExecution"],
                    # only a start that has worked has any
                    "responseElements": {
                        "executionArn": [
                            {"prefix": names.execution_arns(machine).removesuffix("*")}
                            for machine in _started(settings)
                        ]
                    },
                },
            ),
            targets=[targets.LambdaFunction(note_caller, max_event_age=Duration.hours(1), retry_attempts=185)],
        )


def _started(settings: EnvironmentSettings) -> list[str]:
    """Return the machines that ask for something that waits for approval here, or give an answer."""
    restores, releases = _RESTORES if settings.restore else (), _RELEASES if settings.release_approval else ()
    return list(dict.fromkeys((*restores, *releases)))
