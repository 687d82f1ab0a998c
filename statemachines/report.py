"""The report machine: what became of a release, written down as a page that anybody can read."""

from aws_cdk import aws_stepfunctions as sfn

from statemachines.steps import FORWARD_SLOW, Steps, at, on_error

_EXECUTION = "$.execution_arn"
_METRICS_LATE_SECONDS = 180
"""
The load balancer sends its metrics once a minute, and CloudWatch shows them some time after.

https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
"""


def report_definition(steps: Steps) -> sfn.IChainable:
    """
    Write the report of the release that an ended execution worked on, and once more when all metrics are there.

    This machine never holds the environment, and no other one waits for it: it reads, and writes one page and a note in
    the release's history. Whatever fails here, the release is what it was before, and the same input writes its report
    later. Each report tells all of its release, so it may be written as often as somebody likes.
    """
    failed = steps.fail(
        "Report not written",
        "The release is not affected. The cause says what failed. Once that is removed, the same input tries again.",
        "ReportNotWritten",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.failure.Error"), at("$.failure.Cause")),
    )
    write = _write(steps, "Write report", "Writes the report, which may still lack the last minutes' metrics.")
    again = _write(steps, "Write report again", "Replaces the report by one with all metrics.")
    for task in (write, again):
        on_error(task, failed)
    wait = steps.wait("Wait for metrics", "The load balancer's metrics come minutes late.", _METRICS_LATE_SECONDS)
    wait.next(again).next(steps.succeed("Report written", "The report is in the bucket of the reports."))

    written = steps.ask("Is there something to report?", "An execution that was refused belongs to no release.")
    written.when(sfn.Condition.boolean_equals("$.report.written", value=True), wait)
    written.otherwise(steps.succeed("Nothing to report", "The execution worked on no release. Nothing was written."))
    write.next(written)

    named = steps.ask("Is an execution named?", "The rule on ended executions names one; an operator has to.")
    named.when(_is_execution(), write).otherwise(
        steps.fail(
            "Reject request",
            "The input is not valid. The cause names the field and gives an example. Nothing was written.",
            "InvalidRequest",
            cause="execution_arn must be the ARN of an execution of deploy, rollback, clean-up or restore-database,"
            ' such as {"execution_arn": "arn:aws:states:eu-west-1:111122223333:execution:shop-production-deploy:'
            '4f2c1e9"}. Find it in the Step Functions console, in the details of the execution.',
        )
    )
    return named


def _is_execution() -> sfn.Condition:
    return sfn.Condition.and_(
        sfn.Condition.is_present(_EXECUTION),
        sfn.Condition.string_matches(_EXECUTION, "arn:*:states:*:execution:*:*"),
    )


def _write(steps: Steps, name: str, comment: str) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "reports.write_report",
        comment,
        given={"execution_arn": at(_EXECUTION)},
        returns=("written", "reason", "report"),
        into="report",
        patience=FORWARD_SLOW,
    )
