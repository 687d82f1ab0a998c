"""docs/deploying.md keeps up with what the commands do."""

import re
from collections import Counter
from pathlib import Path

from cdk.functions import FUNCTIONS
from cdk.ingress import MOST_AT_ONCE
from cdk.settings import EnvironmentSettings
from install.account import iam_action

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
READ = re.compile(r'\.read\(\s*"(\w+)",\s*"(\w+)"')


def test_every_read_is_among_the_documented_rights() -> None:
    """Somebody writes a policy from that list."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "install").rglob("*.py")]
    actions = {iam_action(*found) for source in sources for found in READ.findall(source)}
    (rights,) = [block for block in PAGE.split("```") if block.startswith("\nautoscaling:")]
    assert actions | {"dynamodb:BatchGetItem"} == set(rights.split())


def test_what_is_said_about_concurrency_is_so() -> None:
    """A customer asks AWS for as much."""
    reserved = Counter({spec.only_with: 0 for spec in FUNCTIONS})
    for spec in FUNCTIONS:
        reserved[spec.only_with] += spec.reserved_concurrency or 0
    assert {"": 6, "github": 1} == {table: count for table, count in reserved.items() if count}
    assert MOST_AT_ONCE == 5
    assert "room for six concurrent executions, one more with `[github]`, and five more where pushes arrive" in PAGE


def test_every_part_of_the_settings_is_in_the_table() -> None:
    """What a setting names must be there before Runback is."""
    named = {"routes", "colors", "database", "cache", "network", "logs", "parameters"}
    assert named <= EnvironmentSettings.model_fields.keys()
    assert [part for part in sorted(named) if f"[{part}" not in PAGE] == []
