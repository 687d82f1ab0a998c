"""What environments/ingress.toml may say, and how a mistake in it is told."""

import shutil
from pathlib import Path

import pytest

from cdk.assembly import SETTINGS_FOLDER, synthesize
from cdk.ingress_settings import IngressSettings, load_ingress, require_agreement
from cdk.settings import EnvironmentSettings, SettingsError, load_settings

SECRET = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:receipt-vault/github-webhook-Qm7ZtE"  # noqa: S105
OTHER = SECRET.replace("Qm7ZtE", "Zz9AbC")


def changed(folder: Path, old: str, new: str) -> IngressSettings | None:
    text = (SETTINGS_FOLDER / "ingress.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "ingress.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    return load_ingress(folder)


def test_shipped_settings_are_good() -> None:
    settings = load_ingress(SETTINGS_FOLDER)
    assert settings is not None
    assert settings.bus_arn == "arn:aws:events:eu-west-1:111122223333:event-bus/receipt-vault-github"
    assert settings.subjects == (
        "repo:your-org/receipt-vault:ref:refs/heads/main",
        "repo:your-org@*/receipt-vault@412906233:ref:refs/heads/main",
        "repo:your-org/receipt-vault:ref:refs/tags/v*",
        "repo:your-org@*/receipt-vault@412906233:ref:refs/tags/v*",
    )


def test_without_the_file_there_is_no_ingress(tmp_path: Path) -> None:
    assert load_ingress(tmp_path) is None


def test_it_is_no_environment() -> None:
    assert [each.environment for each in load_settings(SETTINGS_FOLDER)] == ["production", "staging"]
    with pytest.raises(SettingsError, match=r"ingress.toml: there is no such environment"):
        load_settings(SETTINGS_FOLDER, ("ingress",))


def test_pushes_to_main_are_forwarded_unless_it_says_otherwise(tmp_path: Path) -> None:
    settings = changed(tmp_path, 'refs = ["refs/heads/main", "refs/tags/v*"]', "")
    assert settings is not None
    assert settings.refs == ("refs/heads/main",)


def test_two_secrets_are_named_while_one_replaces_the_other(tmp_path: Path) -> None:
    settings = changed(tmp_path, f'["{SECRET}"]', f'["{SECRET}", "{OTHER}"]')
    assert settings is not None
    assert settings.webhook_secret_arns == (SECRET, OTHER)


@pytest.mark.parametrize("source", ["your-org/receipt-vault", "your-org@77/receipt-vault@412906233"])
def test_runs_that_may_are_named(tmp_path: Path, source: str) -> None:
    subject = f"repo:{source}:environment:staging"
    settings = changed(tmp_path, "# subjects = [", f'subjects = ["{subject}"]\n# [')
    assert settings is not None
    assert settings.subjects == (subject,)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("repository_id = 412906233", "", "repository_id: is missing: add it"),
        ("repository_id = 412906233", 'repository_id = "412906233"', "repository_id: must be a valid integer"),
        ("repository_id = 412906233", "repository_id = 0", "repository_id: must be greater than or equal to 1"),
        ("repository_id =", "repositoryid = 1\nrepository_id =", "did you mean 'repository_id'?"),
        ('repository = "your-org/', 'repository = "', "repository: must be an owner and a repository of GitHub"),
        ('"refs/heads/main"', '"main"', "refs[0]: must be the whole name of a branch or a tag"),
        ('"refs/tags/v*"', '"refs/tags/*v"', "refs[1]: must be the whole name of a branch or a tag"),
        (f'["{SECRET}"]', "[]", "webhook_secret_arns: must have at least one entry"),
        (
            f'["{SECRET}"]',
            f'["{SECRET}", "{SECRET}"]',
            f"webhook_secret_arns[1]: {SECRET!r} is named twice",
        ),
        (f'["{SECRET}"]', f'["{SECRET}", "{OTHER}", "{OTHER}"]', "webhook_secret_arns: "),
        (SECRET, "secret", "webhook_secret_arns[0]: must be the whole ARN of a secret"),
        (
            SECRET,
            SECRET.replace("eu-west-1", "eu-west-2"),
            "webhook_secret_arns[0]: is in aws eu-west-2 111122223333, but the webhooks arrive in aws eu-west-1",
        ),
        ('service = "', 'environment = "staging"\nservice = "', "environment: must be 'ingress', not 'staging'"),
        ("receipt-vault", "r" * 60, "service: "),
        (
            "# provider_arn",
            "provider_arn = 'provider' #",
            "github_actions.provider_arn: must be the ARN of",
        ),
        (
            '# provider_arn = "arn:aws:iam::111122223333',
            'provider_arn = "arn:aws:iam::999988887777',
            "github_actions.provider_arn: must be that of GitHub Actions in this account, arn:aws:iam::111122223333:",
        ),
        (
            '# provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com',
            'provider_arn = "arn:aws:iam::111122223333:oidc-provider/gitlab.com',
            "github_actions.provider_arn: must be that of GitHub Actions in this account, ",
        ),
        (
            '# subjects = ["repo:your-org/receipt-vault',
            'subjects = ["repo:another-org/receipt-vault',
            "github_actions.subjects[0]: is of another repository; it must begin with repo:your-org/receipt-vault or ",
        ),
        (
            '# subjects = ["repo:your-org/receipt-vault',
            'subjects = ["repo:your-org@1/receipt-vault@412906234',
            "github_actions.subjects[0]: is of another repository",
        ),
        (
            '# subjects = ["repo:your-org/receipt-vault',
            'subjects = ["repo:*',
            "github_actions.subjects[0]: must be",
        ),
        ("emails = [", "emails = [] #", "notifications.emails: must have at least one entry"),
        ("service =", "service", "TOML syntax: "),
    ],
)
def test_a_mistake_is_told_with_its_field_and_what_to_do(tmp_path: Path, old: str, new: str, problem: str) -> None:
    with pytest.raises(SettingsError) as refused:
        changed(tmp_path, old, new)
    assert f"{tmp_path / 'ingress.toml'}: " in str(refused.value)
    assert problem in str(refused.value)


def with_pushes(**changes: object) -> tuple[IngressSettings, EnvironmentSettings]:
    """Return the ingress, and staging with changed pushes."""
    ingress = load_ingress(SETTINGS_FOLDER)
    (staging,) = load_settings(SETTINGS_FOLDER, ("staging",))
    assert ingress
    assert staging.pushes
    return ingress, staging.model_copy(update={"pushes": staging.pushes.model_copy(update=changes)})


def told(ingress: IngressSettings, settings: EnvironmentSettings) -> str:
    try:
        require_agreement(Path("here"), ingress, [settings])
    except SettingsError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"starts": "tag", "ref": "refs/tags/v*"}, ""),
        ({"starts": "tag", "ref": "refs/tags/v1*"}, ""),
        ({"starts": "tag", "ref": "refs/tags/*"}, "pushes.ref: 'refs/tags/*' is not forwarded"),
        ({"ref": "refs/heads/next"}, "pushes.ref: 'refs/heads/next' is not forwarded: add it to refs in ingress.toml"),
        ({"starts": "validated", "ref": "refs/heads/next"}, ""),
        ({"starts": "by-hand", "ref": "refs/heads/next"}, ""),
    ],
)
def test_an_environment_listens_for_what_is_forwarded(changes: dict[str, object], problem: str) -> None:
    """It would wait for ever otherwise, and nobody would know why."""
    said = told(*with_pushes(**changes))
    assert said.startswith(f"here/staging.toml: {problem}" if problem else "")
    assert bool(said) is bool(problem)


@pytest.mark.parametrize(
    ("field", "value"), [("repository_id", 7), ("account", "999988887777"), ("region", "eu-west-2"), ("service", "it")]
)
def test_both_speak_of_the_same_repository_and_place(field: str, value: object) -> None:
    ingress, staging = with_pushes()
    assert f"{field}: is " in told(ingress.model_copy(update={field: value}), staging)


def test_an_environment_that_does_not_fit_is_not_built(tmp_path: Path) -> None:
    shutil.copytree(SETTINGS_FOLDER, tmp_path, dirs_exist_ok=True)
    changed(tmp_path, 'refs = ["refs/heads/main", ', "refs = [")
    with pytest.raises(SettingsError, match="is not forwarded"):
        synthesize(tmp_path / "out", ("staging",), tmp_path)
