"""What a plan may do: nothing that Runback works on, nothing to the database, and no destruction that is not named."""

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from lambdas.errors import PlanFailed, PlanRefused
from lambdas.infrastructure.rules import (
    InfrastructureSettings,
    Purpose,
    apply_field,
    longest_build_seconds,
    plan_key,
    read_plan,
    require_commit,
    require_harmless,
    what_was_changed,
)
from tests.builders import INFRASTRUCTURE
from tests.unit.infrastructure.plans import A_VALUE, change, plan_of

SETTINGS = InfrastructureSettings.from_json(json.dumps(INFRASTRUCTURE))
PASSWORD_OF_APPLICATION = INFRASTRUCTURE["protected"][0]


def refusal(*changes: dict[str, object]) -> str:
    with pytest.raises(PlanRefused) as refused:
        require_harmless(read_plan(plan_of(*changes)), SETTINGS)
    return str(refused.value)


def test_settings_are_read_as_they_are_written() -> None:
    assert asdict(InfrastructureSettings.from_json(json.dumps(INFRASTRUCTURE))) == {
        **INFRASTRUCTURE,
        "may_destroy": ("module.compute", "aws_sqs_queue.old"),
        "rollback_targets": ("module.compute",),
        "protected": frozenset(INFRASTRUCTURE["protected"]),
    }


def test_summary_names_what_is_done_to_what_and_no_value() -> None:
    """It stands in the execution's history, in the record and in messages."""
    plan = read_plan(
        plan_of(
            change("aws_sqs_queue.thumbnails", "create"),
            change("module.worker.aws_iam_role.worker", "update"),
            change("aws_sqs_queue.old", "delete"),
            change('aws_s3_object.page["a b"]', "delete", "create"),
            change("aws_sns_topic.kept", "no-op"),
            output_changes={"queue": {"actions": ["create"], "after": A_VALUE}, "other": {"actions": ["no-op"]}},
        )
    )

    assert plan.summary == (
        "Terraform adds aws_sqs_queue.thumbnails, changes module.worker.aws_iam_role.worker, destroys"
        ' aws_sqs_queue.old, replaces aws_s3_object.page["a b"], sets 1 output.'
    )
    assert plan.size == 5
    assert A_VALUE not in repr(plan.summary)


def test_plan_without_changes_is_nothing_to_apply() -> None:
    plan = read_plan(plan_of(change("aws_sqs_queue.old", "no-op"), change("aws_ami.newest", "read", mode="data")))

    assert (plan.size, plan.summary) == (0, "Terraform changes nothing.")


def test_moved_or_imported_resource_is_something_to_apply() -> None:
    """Terraform's state changes, although nothing in the account does."""
    plan = read_plan(
        plan_of(
            change("module.new.aws_sqs_queue.one", "no-op", previous_address="aws_sqs_queue.one"),
            change("aws_sqs_queue.gone", "forget"),
            change("aws_ami.newest", "no-op", "read", mode="data"),
            with_import(change("aws_sqs_queue.found", "no-op")),
        )
    )

    assert plan.summary == (
        "Terraform moves module.new.aws_sqs_queue.one, forgets aws_sqs_queue.gone, moves aws_sqs_queue.found."
    )


def with_import(planned: dict[str, Any]) -> dict[str, Any]:
    return {**planned, "change": {**planned["change"], "importing": {"id": "found"}}}


def test_plan_without_resources_or_outputs_changes_nothing() -> None:
    """Terraform leaves out what there is none of."""
    assert read_plan('{"format_version": "1.2"}').summary == "Terraform changes nothing."


def test_long_plan_is_summed_up() -> None:
    plan = read_plan(plan_of(*(change(f"aws_sqs_queue.q{number}", "create") for number in range(40))))

    assert plan.summary.endswith("adds aws_sqs_queue.q11, and does something to 28 more.")


@pytest.mark.parametrize(
    "address",
    [
        "aws_lb_listener.https",
        "aws_lb_listener_rule.api",
        "aws_alb_target_group.blue",
        "aws_lb_target_group_attachment.one",
        'module.compute.aws_autoscaling_group.color["blue"]',
        "aws_autoscaling_attachment.blue",
        "aws_autoscaling_policy.cpu",
        "module.compute.aws_launch_template.green",
    ],
)
@pytest.mark.parametrize("actions", [("create",), ("update",), ("delete",), ("delete", "create"), ("forget",)])
def test_what_divides_traffic_or_runs_versions_is_runbacks_alone(address: str, actions: tuple[str, ...]) -> None:
    """Terraform would set weights, sizes and versions back to what stood in its files, under users."""
    assert address in refusal(change(address, *actions))


def test_moving_a_listener_within_the_configuration_touches_no_traffic() -> None:
    moved = change("module.edge.aws_lb_listener.https", "no-op", previous_address="aws_lb_listener.https")

    require_harmless(read_plan(plan_of(moved)), SETTINGS)


@pytest.mark.parametrize(
    ("address", "values"),
    [
        ("aws_secretsmanager_secret_version.application", {"secret_id": PASSWORD_OF_APPLICATION}),
        ("aws_secretsmanager_secret.application", {"arn": PASSWORD_OF_APPLICATION}),
        ("aws_secretsmanager_secret_rotation.application", {"secret_id": "receipts/test/application"}),
        ("aws_ssm_parameter.target_group", {"name": "/receipts/test/target-group-arn"}),
    ],
)
def test_connection_of_the_application_is_not_terraforms(address: str, values: dict[str, str]) -> None:
    """A restore points it at another database; an apply would silently point it back."""
    assert "connects with" in refusal(change(address, "update", before=values, after=values))
    assert "connects with" in refusal(change(address, "create", after=values))


def test_other_secrets_and_parameters_are_free() -> None:
    other = {"secret_id": "receipts/test/mail", "name": "/receipts/test/colour-of-the-logo"}

    require_harmless(
        read_plan(
            plan_of(
                change("aws_secretsmanager_secret_version.mail", "update", before=other, after=other),
                change("aws_ssm_parameter.logo", "create", after=other),
            )
        ),
        SETTINGS,
    )


@pytest.mark.parametrize(
    ("actions", "word"),
    [(("delete",), "destroys"), (("delete", "create"), "replaces"), (("create", "delete"), "replaces")],
)
def test_no_release_destroys_or_replaces_a_database_even_where_it_is_listed(
    actions: tuple[str, ...], word: str
) -> None:
    told = refusal(change("module.compute.aws_db_instance.main", *actions))
    assert f"The plan {word} module.compute.aws_db_instance.main, a database: no release may" in told


def test_renamed_database_is_as_good_as_gone() -> None:
    """Its host name follows from its identifier."""
    before, after = {"identifier": "receipts-test"}, {"identifier": "receipts-test-2"}

    assert "renames aws_db_instance.main" in refusal(
        change("aws_db_instance.main", "update", before=before, after=after)
    )


def test_larger_disk_of_the_database_is_allowed() -> None:
    before = {"identifier": "receipts-test", "allocated_storage": 20}

    require_harmless(
        read_plan(
            plan_of(change("aws_db_instance.main", "update", before=before, after={**before, "allocated_storage": 40}))
        ),
        SETTINGS,
    )


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("aws_sqs_queue.old", True),
        ("aws_sqs_queue.old[0]", True),
        ("aws_sqs_queue.older", False),
        ("aws_sqs_queue.new", False),
        ("module.compute.aws_iam_role.instance", True),
        ('module.compute["a"].aws_iam_role.instance', True),
        ("module.compute_more.aws_iam_role.instance", False),
    ],
)
def test_only_what_is_named_may_be_destroyed(address: str, *, allowed: bool) -> None:
    """Addresses mean what they mean to `terraform plan -target`: a module is all that is in it."""
    plan = read_plan(plan_of(change(address, "delete", deposed="0a1b2c3d")))
    if allowed:
        require_harmless(plan, SETTINGS)
    else:
        with pytest.raises(PlanRefused, match="may_destroy"):
            require_harmless(plan, SETTINGS)


def test_all_reasons_are_told_at_once() -> None:
    """Whoever mends one after the other needs a release for each."""
    told = refusal(
        change("aws_lb_listener.https", "update"),
        change("aws_sqs_queue.new", "delete"),
        change("aws_db_instance.main", "delete", "create"),
        change("aws_sns_topic.fine", "create"),
    )

    assert all(each in told for each in ("aws_lb_listener.https", "aws_sqs_queue.new", "aws_db_instance.main"))
    assert ("keep it in the configuration. The plan replaces aws_db_instance.main, a database") in told
    assert "aws_sns_topic.fine" not in told
    assert A_VALUE not in told


def test_action_that_nobody_knows_is_refused() -> None:
    told = refusal(change("aws_sqs_queue.one", "teleport", "beam", "no-op"))
    assert told.startswith(
        "The plan does beam, teleport to aws_sqs_queue.one, which Runback does not know: set an older"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Error: no configuration", r"^The plan's JSON cannot be read\. Look into the log of the plan's build\.$"),
        ("[]", "format ''"),
        ("{}", "format ''"),
        (plan_of(format_version="2.0"), "format '2.0'"),
        (plan_of(errored=True), r"^Terraform found errors .* Look into the log of the plan's build\.$"),
    ],
)
def test_what_is_no_plan_is_not_taken_for_an_empty_one(text: str, said: str) -> None:
    with pytest.raises(PlanFailed, match=said):
        read_plan(text)


def test_infrastructure_of_an_unknown_version_cannot_be_planned() -> None:
    """Before the first release, the version that serves may be anything."""
    assert require_commit("4f2c1e9") == "4f2c1e9"
    with pytest.raises(PlanFailed, match=r"'v1\.2' is not a commit"):
        require_commit("v1.2")


def test_rollback_is_limited_to_its_targets_and_has_a_plan_of_its_own() -> None:
    assert (SETTINGS.targets(Purpose.RELEASE), SETTINGS.targets(Purpose.ROLLBACK)) == ("", "module.compute")
    assert replace(SETTINGS, rollback_targets=("module.a", "module.b")).targets(Purpose.ROLLBACK) == "module.a module.b"
    assert [apply_field(purpose) for purpose in Purpose] == ["infrastructure", "infrastructure_rollback"]
    assert plan_key("4f2c1e9-0a1b2c3d", Purpose.ROLLBACK) == "plans/4f2c1e9-0a1b2c3d/rollback/"


def test_build_that_waits_and_works_as_long_as_it_may_has_ended_then() -> None:
    """Five minutes in CodeBuild's queue, and as much to be told of its end."""
    assert longest_build_seconds(1800) == 2400
    assert SETTINGS.longest_build_seconds == 2400


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("SUCCEEDED", "was applied whole"),
        ("FAILED", "ended FAILED, perhaps after a part of it"),
        (None, "may be applied still"),
        ("IN_PROGRESS", "may be applied still"),
    ],
)
def test_what_a_release_left_is_told(status: str | None, said: str) -> None:
    noted = {"version": "4f2c1e9", "summary": "Terraform adds a.b."} | ({"status": status} if status else {})

    assert what_was_changed({"infrastructure_changed": True, "infrastructure": noted}) == (
        f"The infrastructure of version 4f2c1e9 {said}. Terraform adds a.b."
    )
    assert what_was_changed({"infrastructure_changed": False, "infrastructure": noted}) == ""


def test_change_that_nobody_noted_may_still_be_under_way() -> None:
    """The function that notes it can be killed between the two."""
    assert "may be applied still" in what_was_changed({"infrastructure_changed": True})
