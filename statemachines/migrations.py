"""What deploy and rollback machine both do about the migrations of a release that is given up."""

from aws_cdk import aws_stepfunctions as sfn

from lambdas.errors import LeaseLost
from statemachines.plan import CHECK_EVERY_SECONDS
from statemachines.steps import Given, Steps, at, on_error

_LEFT = "migrations_left"


def await_migrations(
    steps: Steps, holder: Given, lease_lost: sfn.IChainable, escalated: sfn.IChainable, then: sfn.IChainable
) -> sfn.IChainable:
    """Undo nothing while they may still change the database, but wait no longer than they may take."""
    look = steps.task(
        "Look at migrations",
        "database.look_at_migrations",
        "Looks whether the release's migrations still run, and whether a human has to look at the schema they leave.",
        given=holder,
        returns=("running", "pages", "concern"),
        into=_LEFT,
    )
    wait = steps.wait("Wait for their end", "Migrations are not stopped.", CHECK_EVERY_SECONDS)
    question = steps.ask("Do migrations still run?", "They cannot be undone while they do.")
    running = sfn.Condition.boolean_equals(f"$.{_LEFT}.running", value=True)
    on_error(look, lease_lost, LeaseLost)
    on_error(look, escalated)
    return steps.repeat(wait, look, question, running, yes=wait, no=then)


def ask_about_schema(steps: Steps, page: sfn.IChainable, otherwise: sfn.IChainable) -> sfn.IChainable:
    """Ask whether what serves may not work with what migrations have left; nobody has looked where nothing began."""
    question = steps.ask("Was the schema changed?", "After breaking migrations the old version may not work.")
    was_looked_at = sfn.Condition.is_present(f"$.{_LEFT}")
    pages = sfn.Condition.boolean_equals(f"$.{_LEFT}.pages", value=True)
    return question.when(sfn.Condition.and_(was_looked_at, pages), page).otherwise(otherwise)


def page_schema(steps: Steps, release_id: str, reason: str, then: sfn.IChainable) -> sfn.IChainable:
    """Say why the release was given up, and what its migrations have left; a page that fails changes nothing."""
    page = steps.tell(
        "Page about the schema",
        "schema_changed",
        release_id,
        reason=sfn.JsonPath.format("{} {}", reason, at(f"$.{_LEFT}.concern")),
        comment="Tells the people on call that the old version serves with a schema that it may not work with.",
    )
    on_error(page, then, result_path=sfn.JsonPath.DISCARD)
    return page.next(then)
