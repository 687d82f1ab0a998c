"""What settings may say of GitHub and of pushes, and what is said about a mistake."""

import shutil
from pathlib import Path

import pytest

from cdk.assembly import SETTINGS_FOLDER
from cdk.settings import EnvironmentSettings, SettingsError, load_settings

GITHUB = """
[github]
repository = "your-org/receipt-vault"
repository_id = 412906233
token_secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipt-vault/production/github-token-W3nRzA"
"""
PUSHES = """
[pushes]
starts = "validated"
after = "staging"
"""
BY_HAND = '[pushes]\nstarts = "by-hand"\n'


def load(tmp_path: Path, tables: str, **others: str) -> EnvironmentSettings:
    """Load production with these tables in place of its own, beside other files."""
    kept, mine = [], False
    for line in (SETTINGS_FOLDER / "production.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            mine = line in {"[github]", "[pushes]", "[gates]", "[ingress]"} or line.startswith("[gates.")
        kept += [] if mine else [line]
    (tmp_path / "production.toml").write_text("\n".join(kept) + tables, encoding="utf-8")
    for name, text in others.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    shutil.copytree(SETTINGS_FOLDER / "files", tmp_path / "files")
    (settings,) = load_settings(tmp_path, ("production",))
    return settings


def test_staging_takes_every_push_and_production_what_staging_has_validated() -> None:
    """That a merge is live in staging without a hand, and in production after it, is a promise of the guides."""
    production, staging = load_settings(SETTINGS_FOLDER, ("production", "staging"))

    assert staging.pushes is not None
    assert production.pushes is not None
    assert (staging.pushes.starts, staging.pushes.ref, staging.pushes.after) == ("push", "refs/heads/main", None)
    assert (production.pushes.starts, production.pushes.after) == ("validated", "staging")
    assert staging.github is not None
    assert production.github is not None
    assert production.github.repository_id == staging.github.repository_id


def test_without_the_tables_nothing_starts_by_itself(tmp_path: Path) -> None:
    settings = load(tmp_path, "")

    assert (settings.github, settings.pushes) == (None, None)


@pytest.mark.parametrize(
    ("starts", "ref"), [("push", "refs/heads/main"), ("by-hand", "refs/heads/main"), ("tag", "refs/tags/v*")]
)
def test_what_is_left_out_is_as_most_have_it(starts: str, ref: str, tmp_path: Path) -> None:
    settings = load(tmp_path, f'{GITHUB}[pushes]\nstarts = "{starts}"\n')

    assert settings.pushes is not None
    assert settings.github is not None
    assert (settings.pushes.ref, settings.pushes.reconcile_minutes) == (ref, 5)
    assert (settings.github.api_url, settings.github.after_rollback) == ("https://api.github.com", "comment")


def tag(ref: str) -> str:
    return f'{GITHUB}[pushes]\nstarts = "tag"\nref = "{ref}"\n'


@pytest.mark.parametrize("ref", ["refs/tags/v*", "refs/tags/v1.2", "refs/tags/*", "refs/tags/release/*"])
def test_a_tag_may_end_in_a_star(ref: str, tmp_path: Path) -> None:
    settings = load(tmp_path, tag(ref))

    assert settings.pushes is not None
    assert settings.pushes.ref == ref


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (PUSHES, "pushes: goes with [github], which says whose pushes are meant: add that table, or remove this"),
        (
            f'{GITHUB}[pushes]\nstarts = "validated"\n',
            'pushes.after: is missing: with starts = "validated", name the environment that goes before',
        ),
        (
            f'{GITHUB}{BY_HAND}after = "staging"\n',
            'pushes.after: goes with starts = "validated" or "tag", not with "by-hand": remove it',
        ),
        (
            f'{GITHUB}[pushes]\nstarts = "push"\nafter = "staging"\n',
            'pushes.after: goes with starts = "validated" or "tag", not with "push": remove it',
        ),
        (
            f'{GITHUB}[pushes]\nstarts = "validated"\nafter = "production"\n',
            "pushes.after: must be another environment than this one",
        ),
        (
            f'{GITHUB}[pushes]\nstarts = "push"\nref = "refs/tags/v1"\n',
            'pushes.ref: must be a branch with starts = "push", such as "refs/heads/main", not \'refs/tags/v1\'',
        ),
        (
            tag("refs/heads/main"),
            'pushes.ref: must be a tag with starts = "tag", such as "refs/tags/v*", not \'refs/heads/main\'',
        ),
        (
            f'{GITHUB}[pushes]\nstarts = "push"\nref = "refs/heads/release/*"\n',
            (
                "pushes.ref: must name one branch, not 'refs/heads/release/*': which of several is the newest cannot be"
                " told"
            ),
        ),
        *(
            (
                tag(ref),
                (
                    'pushes.ref: must be the whole name of a branch or a tag, such as "refs/heads/main" or'
                    f' "refs/tags/v*", with a star at its end only, not {ref!r}'
                ),
            )
            for ref in ("v*", "refs/tags/", "refs/tags/v*-x", "refs/tags/v..1", "refs/tags/a//b", "refs/pull/7/head")
        ),
        (
            f'{GITHUB}[pushes]\nstarts = "merge"\n',
            "pushes.starts: must be 'push', 'validated', 'tag' or 'by-hand', not 'merge'",
        ),
        (
            f"{GITHUB}{BY_HAND}reconcile_minutes = 0\n",
            "pushes.reconcile_minutes: must be greater than or equal to 1, not 0",
        ),
        (
            GITHUB.replace("your-org/receipt-vault", "https://github.com/your-org/receipt-vault"),
            (
                'github.repository: must be an owner and a repository of GitHub, such as "your-org/receipt-vault", not'
                " 'https://github.com/your-org/receipt-vault'"
            ),
        ),
        (
            GITHUB.replace("412906233", '"412906233"'),
            "github.repository_id: must be a valid integer, not '412906233'",
        ),
        (
            GITHUB.replace("eu-west-1", "us-east-1"),
            (
                "github.token_secret_arn: is in aws us-east-1 111122223333, but this environment in aws eu-west-1"
                " 111122223333"
            ),
        ),
        (
            f'{GITHUB}api_url = "http://api.github.com"\n',
            (
                'github.api_url: must be a URL that begins with "https://" and a host name in lower case, not'
                " 'http://api.github.com'"
            ),
        ),
        (
            f'{GITHUB}token = "ghp_canary"\n',
            "github.token: is not a setting of Runback: remove it",
        ),
    ],
)
def test_a_mistake_is_told_by_field_and_fix(tables: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, tables)

    assert f"{tmp_path / 'production.toml'}: {told}" in str(raised.value).splitlines()
    assert "ghp_canary" not in str(raised.value)


STAGING = (SETTINGS_FOLDER / "staging.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ({"canary": STAGING}, "pushes.after: names 'staging', and this folder has no staging.toml; it has canary"),
        (
            {"staging": STAGING.replace('account = "111122223333"', 'account = "444455556666"')},
            (
                "pushes.after: names 'staging', whose account is '444455556666', and this one's is '111122223333': what"
                " an environment has validated can be read within one account only"
            ),
        ),
        (
            {"staging": STAGING.replace('service = "receipt-vault"', 'service = "shop"')},
            (
                "pushes.after: names 'staging', whose service is 'shop', and this one's is 'receipt-vault': what an"
                " environment has validated can be read within one service only"
            ),
        ),
    ],
)
def test_the_environment_before_has_to_be_there(others: dict[str, str], told: str, tmp_path: Path) -> None:
    """A misspelt one would validate nothing for ever, and nobody would know why nothing starts."""
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, GITHUB + PUSHES, **others)

    assert f"{tmp_path / 'production.toml'}: {told}" in str(raised.value).splitlines()


@pytest.mark.parametrize("others", [{}, {"ingress": "what = 1"}, {"staging": STAGING}, {"staging": "not = toml ="}])
def test_where_it_cannot_be_known_it_is_believed(others: dict[str, str], tmp_path: Path) -> None:
    """A folder may hold one environment only, and a file that cannot be read has a mistake of its own."""
    assert load(tmp_path, GITHUB + PUSHES, **others).pushes
