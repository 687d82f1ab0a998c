"""Whoever mistypes a setting learns where and what to write, before anything is built."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import EnvironmentSettings, SettingsError, load_settings

HERE = "arn:aws:elasticloadbalancing:eu-west-1:111122223333"
LIVE = f"{HERE}:listener/app/receipt-vault-production/50dc6c495c0c9188/f2f7dc8efc522ab2"
TEST = f"{HERE}:listener/app/receipt-vault-production/50dc6c495c0c9188/9c2ab1d7e04f6a35"
BLUE = f"{HERE}:targetgroup/receipt-vault-production-blue/73e2d6bc24d8a067"
RULE = LIVE.replace(":listener/", ":listener-rule/") + "/8a1b2c3d4e5f6071"

Edit = Callable[[str], str]


def replacing(old: str, new: str) -> Edit:
    def edit(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return edit


def load_edited(tmp_path: Path, edit: Edit, name: str = "production") -> EnvironmentSettings:
    original = (SETTINGS_FOLDER / "production.toml").read_text(encoding="utf-8")
    (tmp_path / f"{name}.toml").write_text(edit(original), encoding="utf-8")
    (settings,) = load_settings(tmp_path)
    return settings


def test_the_shipped_settings_are_valid() -> None:
    production, staging = load_settings(SETTINGS_FOLDER)

    assert (production.prefix, staging.prefix) == ("receipt-vault-production", "receipt-vault-staging")


def test_production_ships_with_canary_half_and_an_hour_to_go_back() -> None:
    """These numbers are a promise of the operator guide."""
    (production,) = load_settings(SETTINGS_FOLDER, ("production",))

    assert [(step.weight, step.bake_seconds) for step in production.release.steps] == [
        (10, 300),
        (50, 300),
        (100, 1800),
    ]
    assert production.release.rollback_window_seconds == 3600


def test_a_release_is_as_careful_as_production_unless_it_says_otherwise(tmp_path: Path) -> None:
    def shortened(text: str) -> str:
        kept = (line for line in text.splitlines() if not line.startswith(("prepare_", "rollback_", "next_release")))
        return "\n".join(kept)

    release = load_edited(tmp_path, shortened).release

    assert (
        release.prepare_timeout_seconds,
        release.rollback_window_seconds,
        release.next_release_in_window,
    ) == (1800, 3600, "refuse")


def test_a_route_may_be_a_rule_instead_of_a_listener(tmp_path: Path) -> None:
    settings = load_edited(tmp_path, replacing(f'listener_arn = "{LIVE}"', f'rule_arn = "{RULE}"'))

    assert settings.routes[0].rule_arn == RULE
    assert settings.routes[0].listener_arn is None


MISTAKES = {
    "a setting is missing": (replacing('region = "eu-west-1"\n', ""), "region: is missing: add it"),
    "a setting is misspelt": (
        replacing("prepare_timeout_seconds", "prepare_timeout_second"),
        (
            "release.prepare_timeout_second: is not a setting of Runback: remove it, or did you mean "
            "'prepare_timeout_seconds'?"
        ),
    ),
    "a setting in a list of tables is misspelt": (
        replacing("green = ", "grean = "),
        "routes[0].grean: is not a setting of Runback: remove it, or did you mean 'green'?",
    ),
    "an account lost its quotes": (
        replacing('account = "111122223333"', "account = 111122223333"),
        "account: must be text in quotes, not 111122223333",
    ),
    "an account is too short": (
        replacing('account = "111122223333"', 'account = "1111"'),
        """account: must be an AWS account of twelve digits, such as "111122223333", not '1111'""",
    ),
    "a Region is none": (
        replacing('region = "eu-west-1"', 'region = "Ireland"'),
        """region: must be an AWS Region, such as "eu-west-1", not 'Ireland'""",
    ),
    "a service has capitals": (
        replacing('service = "receipt-vault"', 'service = "Receipt Vault"'),
        "service: must be lower-case letters, digits and hyphens, not 'Receipt Vault'",
    ),
    "names would become too long for AWS": (
        replacing('service = "receipt-vault"', f'service = "{"receipt-" * 5}vault"'),
        (
            'service: "receipt-receipt-receipt-receipt-receipt-vault-production" has 56 characters; with the '
            "environment at most 40, because AWS limits the names that begin with it"
        ),
    ),
    "the environment is not its file": (
        replacing('environment = "production"', 'environment = "staging"'),
        """environment: must be the name of its file, "production", not 'staging'""",
    ),
    "a target group stands where a listener belongs": (
        replacing(LIVE, BLUE),
        (
            "routes[0].listener_arn: must be the ARN of an Application Load Balancer's listener "
            f"(…:listener/app/<name>/<id>/<id>), not '{BLUE}'"
        ),
    ),
    "a listener stands where a target group belongs": (
        replacing(BLUE, LIVE),
        f"routes[0].blue: must be the ARN of a target group (…:targetgroup/<name>/<id>), not '{LIVE}'",
    ),
    "a listener stands where a rule belongs": (
        replacing("test_listener_arn", "test_rule_arn"),
        (
            "routes[0].test_rule_arn: must be the ARN of a listener's rule "
            f"(…:listener-rule/app/<name>/<id>/<id>/<id>), not '{TEST}'"
        ),
    ),
    "a route has a listener and a rule": (
        replacing('name = "api"', f'name = "api"\nrule_arn = "{RULE}"'),
        "routes[0].listener_arn: give exactly one of listener_arn and rule_arn, not both",
    ),
    "a route has no test listener": (
        replacing(f'test_listener_arn = "{TEST}"\n', ""),
        "routes[0].test_listener_arn: give exactly one of test_listener_arn and test_rule_arn, not neither",
    ),
    "a listener is live and for tests": (
        replacing(TEST, LIVE),
        "routes[0].test_listener_arn: is used more than once: every route needs a listener or rule of its own",
    ),
    "both colors are one target group": (
        replacing("receipt-vault-production-green/d1b0f4a96c3e5728", "receipt-vault-production-blue/73e2d6bc24d8a067"),
        "routes[0].green: must be another target group than blue",
    ),
    "both colors are one Auto Scaling group": (
        replacing(
            'auto_scaling_group = "receipt-vault-production-green"',
            'auto_scaling_group = "receipt-vault-production-blue"',
        ),
        "colors.green.auto_scaling_group: must be another one than that of blue",
    ),
    "both colors are one launch template": (
        replacing("lt-0b31da76172f75bcd", "lt-0a20c965061f64abc"),
        "colors.green.launch_template_id: must be another one than that of blue",
    ),
    "a listener is in another Region": (
        replacing(LIVE, LIVE.replace("eu-west-1", "us-east-1")),
        "routes[0].listener_arn: is in aws us-east-1 111122223333, but this environment in aws eu-west-1 111122223333",
    ),
    "a target group is in another account": (
        replacing(BLUE, BLUE.replace("111122223333", "444455556666")),
        "routes[0].blue: is in aws eu-west-1 444455556666, but this environment in aws eu-west-1 111122223333",
    ),
    "an instance role is in another account": (
        replacing("arn:aws:iam::111122223333", "arn:aws:iam::444455556666"),
        "colors.blue.instance_role_arn: is a role of account 444455556666, but this environment is in 111122223333",
    ),
    "the last step leaves traffic behind": (
        replacing("weight = 100", "weight = 90"),
        "release.steps: the last step must have weight 100, not 90",
    ),
    "a step goes backwards": (
        replacing("weight = 50", "weight = 10"),
        "release.steps[1].weight: must be more than the 10 of the step before, not 10",
    ),
    "a step has no weight": (
        replacing("weight = 10,", "weight = 0,"),
        "release.steps[0].weight: must be greater than or equal to 1, not 0",
    ),
    "a step bakes for a text": (
        replacing("bake_seconds = 300", 'bake_seconds = "300"'),
        "release.steps[0].bake_seconds: must be a valid integer, not '300'",
    ),
    "a window is negative": (
        replacing("rollback_window_seconds = 3600", "rollback_window_seconds = -1"),
        "release.rollback_window_seconds: must be greater than or equal to 0, not -1",
    ),
    "an unknown choice": (
        replacing('"refuse"', '"ignore"'),
        "release.next_release_in_window: must be 'refuse' or 'expire', not 'ignore'",
    ),
    "both parameters are one": (
        replacing("previous-target-group", "target-group-arn"),
        "parameters.previous_target_group: must be another parameter than target_group",
    ),
    "a parameter has no path": (
        replacing('"/receipt-vault/production/target-group-arn"', '"target-group-arn"'),
        """parameters.target_group: must be the name of an SSM parameter, beginning with "/", not 'target-group-arn'""",
    ),
    "nobody is told": (
        replacing('emails = ["oncall@receiptvault.pro"]', "emails = []"),
        "notifications.emails: must have at least one entry",
    ),
    "an e-mail address is none": (
        replacing("oncall@receiptvault.pro", "oncall"),
        "notifications.emails[0]: must be an e-mail address, not 'oncall'",
    ),
    "the file is not TOML": (
        replacing("[release]", "[release"),
        "TOML syntax: Expected ']' at the end of a table declaration (at line 28, column 9)",
    ),
}


@pytest.mark.parametrize(("edit", "line"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_by_file_field_and_fix(edit: Edit, line: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load_edited(tmp_path, edit)

    assert f"{tmp_path / 'production.toml'}: {line}" in str(raised.value).splitlines()


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    """Whoever corrects one mistake per run gives up before the last one."""
    original = (SETTINGS_FOLDER / "production.toml").read_text(encoding="utf-8")
    (tmp_path / "one.toml").write_text(original.replace("weight = 100", "weight = 90"), encoding="utf-8")
    (tmp_path / "two.toml").write_text(original.replace('region = "eu-west-1"\n', ""), encoding="utf-8")

    with pytest.raises(SettingsError) as raised:
        load_settings(tmp_path)

    assert [
        f"{tmp_path / 'one.toml'}: release.steps: the last step must have weight 100, not 90",
        f"{tmp_path / 'one.toml'}: environment: must be the name of its file, \"one\", not 'production'",
        f"{tmp_path / 'two.toml'}: region: is missing: add it",
    ] == str(raised.value).splitlines()


def test_routes_do_not_share_a_name_or_a_listener(tmp_path: Path) -> None:
    """A shared listener could not be switched for one route alone."""

    def doubled(text: str) -> str:
        before, mark, after = text.partition("[colors.blue]")
        route = before[before.index("[[routes]]") :]
        return before + route + mark + after

    with pytest.raises(SettingsError) as raised:
        load_edited(tmp_path, doubled)

    fields = [problem.field for problem in raised.value.problems[tmp_path / "production.toml"]]
    assert fields == [
        "routes[0].name",
        "routes[1].name",
        "routes[0].listener_arn",
        "routes[0].test_listener_arn",
        "routes[1].listener_arn",
        "routes[1].test_listener_arn",
    ]


def test_more_routes_than_a_function_can_be_told_are_refused(tmp_path: Path) -> None:
    """AWS would refuse them too, but only in the middle of an update."""

    def multiplied(text: str) -> str:
        before, mark, after = text.partition("[colors.blue]")
        head, route = before.split("[[routes]]")
        return head + "".join(f"[[routes]]{route}" for _ in range(8)) + mark + after

    with pytest.raises(SettingsError, match="routes: are 8, more than fit"):
        load_edited(tmp_path, multiplied)


def test_an_environment_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(SettingsError, match=r"prod\.toml: there is no such environment; .* has production, staging"):
        load_settings(SETTINGS_FOLDER, ("prod",))


def test_a_folder_without_settings_is_a_mistake(tmp_path: Path) -> None:
    """An empty assembly would look like success."""
    with pytest.raises(SettingsError, match="no TOML file at all"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_arns_are_of_the_part_of_aws_that_the_region_belongs_to(region: str, partition: str) -> None:
    (production,) = load_settings(SETTINGS_FOLDER, ("production",))
    elsewhere = production.model_copy(update={"region": region})

    assert elsewhere.arn("sns", "notices") == f"arn:{partition}:sns:{region}:111122223333:notices"
