"""The operate machine: what humans order while a release is under way or live, each order with its reason."""

from aws_cdk import aws_stepfunctions as sfn

from lambdas.operate.rules import Verdict
from statemachines.steps import ALREADY_STARTED, EXECUTION, FORWARD_SLOW, INPUT, Steps, at, on_error

_LAST_STEP_SECONDS = FORWARD_SLOW.seconds
"""How long a step of a dead execution may still work: the longest of all Tasks' time-outs."""


def operate_definition(steps: Steps, rollback: sfn.IStateMachine) -> sfn.IChainable:
    """
    Carry out one order of a human, or say why not and what is possible instead.

    This machine never holds the environment. It leaves an order where the holder finds it at its next look, starts the
    rollback machine for an abort, answers a release or a restore of the database that waits for it, and takes the lease
    only from an execution that is dead. An order that changed something is told to everybody; one that is fulfilled
    already is not told again. Whoever stops this machine stops no release.
    """
    order = steps.task(
        "Give order",
        "operate.give_order",
        'Reads the order, such as {"action": "pause", "reason": "checkout looks slow"}, and writes it down if it fits'
        " what the environment is doing.",
        given={"input": INPUT, "execution": EXECUTION},
        returns=("verdict", "reason", "asked", "action", "release_id", "kind", "start_as", "accept_unaccounted"),
        into="order",
        starts_anew=True,
    )
    failed = steps.fail(
        "Order failed",
        "The order was not carried out to its end. Give it again with the same input: what was done is found done.",
        "OrderFailed",
        cause_path=sfn.JsonPath.format("{}: {}", at("$.Error"), at("$.Cause")),
    )
    refused = steps.fail(
        "Order refused",
        "The order does not fit what the environment is doing. The cause says why, and what is possible instead."
        " Nothing was changed.",
        "OrderRefused",
        cause_path="$.order.reason",
    )
    already_so = steps.succeed(
        "Already so", "Everything is as the order wants it. Nothing was changed, nobody was told."
    )
    tell = _tell(steps)
    on_error(order, failed, result_path="$")
    question = steps.ask("What becomes of the order?", "Follows the decision of the step before.")
    question.when(_decided(Verdict.CARRIED_OUT), tell)
    question.when(_decided(Verdict.ALREADY_SO), already_so)
    question.when(_decided(Verdict.ABORT), _abort(steps, rollback, failed, then=tell))
    question.when(_decided(Verdict.ANSWER), _answer(steps, failed, refused, already_so, then=tell))
    question.when(_decided(Verdict.FREE), _free(steps, failed, refused, already_so, then=tell))
    question.when(_decided(Verdict.INVALID), steps.reject("$.order.reason"))
    question.otherwise(refused)
    return order.next(question)


def _decided(verdict: Verdict) -> sfn.Condition:
    return sfn.Condition.string_equals("$.order.verdict", verdict.value)


def _tell(steps: Steps) -> sfn.IChainable:
    tell = steps.tell(
        "Tell about the order",
        at("$.order.kind"),
        at("$.order.release_id"),
        reason=sfn.JsonPath.format("{}\n\n{}", at("$.order.asked"), at("$.order.reason")),
    )
    done = steps.succeed("Order carried out", "What was ordered is in force, and was told.")
    on_error(tell, done, result_path=sfn.JsonPath.DISCARD)
    tell.next(done)
    return tell


def _abort(steps: Steps, rollback: sfn.IStateMachine, failed: sfn.Fail, then: sfn.IChainable) -> sfn.IChainable:
    start = steps.start(
        "Start rollback",
        "Hands the release to the rollback machine, which aborts it or brings the old version back.",
        rollback,
        execution=at("$.order.start_as"),
        given={"release_id": at("$.order.release_id"), "reason": at("$.order.asked")},
    )
    on_error(start, then, ALREADY_STARTED, result_path=sfn.JsonPath.DISCARD)
    on_error(start, failed, result_path="$")
    start.next(then)
    return start


def _answer(
    steps: Steps, failed: sfn.Fail, refused: sfn.Fail, already_so: sfn.Succeed, then: sfn.IChainable
) -> sfn.IChainable:
    answer = steps.task(
        "Give the answer",
        "operate.answer_approval",
        "Lets begin what waits for approval, a release or a restore of the database, or not. The first answer counts,"
        " and only once.",
        given={
            "action": at("$.order.action"),
            "release_id": at("$.order.release_id"),
            "asked": at("$.order.asked"),
            "accept_unaccounted": at("$.order.accept_unaccounted"),
            "execution": EXECUTION,
        },
        returns=("verdict", "reason", "asked", "release_id", "kind"),
        into="order",
    )
    on_error(answer, failed, result_path="$")
    was = steps.ask("Was it answered?", "Nothing may wait for an answer, or no longer.")
    was.when(_decided(Verdict.CARRIED_OUT), then).when(_decided(Verdict.ALREADY_SO), already_so).otherwise(refused)
    answer.next(was)
    return answer


def _free(
    steps: Steps, failed: sfn.Fail, refused: sfn.Fail, already_so: sfn.Succeed, then: sfn.IChainable
) -> sfn.IChainable:
    look = _environment(
        steps,
        "Look at the environment",
        "Looks whether its holder is dead, and whether all traffic is on one color. Changes nothing.",
        only_look=True,
    )
    wait = steps.wait(
        "Wait for its last step",
        "A step of a dead execution may still work. Others may claim meanwhile.",
        _LAST_STEP_SECONDS,
    )
    free = _environment(
        steps,
        "Free environment",
        "Takes the lease from its dead holder, and writes down what really serves. Moves no traffic.",
        only_look=False,
    )
    for task in (look, free):
        on_error(task, failed, result_path="$")
    may = steps.ask("Can it be freed?", "Only from a dead holder, and only while all traffic is on one color.")
    may.when(_decided(Verdict.FREE), wait).when(_decided(Verdict.ALREADY_SO), already_so).otherwise(refused)
    was = steps.ask("Was it freed?", "Somebody may have claimed the environment, or moved the listener, meanwhile.")
    was.when(_decided(Verdict.CARRIED_OUT), then).when(_decided(Verdict.ALREADY_SO), already_so).otherwise(refused)
    look.next(may)
    wait.next(free)
    free.next(was)
    return look


def _environment(steps: Steps, name: str, comment: str, *, only_look: bool) -> sfn.TaskStateBase:
    return steps.task(
        name,
        "operate.free_environment",
        comment,
        given={
            "release_id": at("$.order.release_id"),
            "asked": at("$.order.asked"),
            "execution": EXECUTION,
            "only_look": only_look,
        },
        returns=("verdict", "reason", "asked", "release_id", "kind"),
        into="order",
    )
