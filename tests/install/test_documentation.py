"""docs/deploying.md keeps up with what the commands do."""

import re
from pathlib import Path

from cdk.settings import EnvironmentSettings
from install.account import iam_action

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
READ = re.compile(r'\.read\(\s*"(\w+)",\s*"(\w+)"')


def test_every_read_is_among_the_documented_rights() -> None:
    """Somebody writes a policy from that list."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "install").rglob("*.py")]
    actions = {iam_action(*found) for source in sources for found in READ.findall(source)}
    listed = set(re.findall(r"[a-z2]+:[A-Z]\w+", PAGE.partition("```\nautoscaling:")[2].partition("```")[0]))
    assert actions | {"dynamodb:BatchGetItem"} == listed | {"autoscaling:DescribeAutoScalingGroups"}


def test_every_part_of_the_settings_is_in_the_table() -> None:
    """What a setting names must be there before Runback is."""
    named = {"routes", "colors", "database", "cache", "network", "logs", "parameters"}
    assert named <= EnvironmentSettings.model_fields.keys()
    assert [part for part in sorted(named) if f"[{part}" not in PAGE] == []
