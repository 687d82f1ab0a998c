"""What `environments/ingress.toml` may say: where GitHub's webhooks arrive, and which of them are forwarded."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from cdk.push_settings import LISTENING, Ref, Repository, RepositoryId
from cdk.setting_types import ARN, Place, Problem, SecretArn, SettingsError, Table, text
from cdk.settings import EnvironmentSettings
from cdk.settings_files import INGRESS, read_table

GITHUB_ACTIONS = "token.actions.githubusercontent.com"
"""Who issues the tokens of GitHub Actions."""
_MOST_REFS = 20
_MOST_SECRETS = 2

ProviderArn = Annotated[
    str,
    text(
        rf"{ARN}iam::\d{{12}}:oidc-provider/[a-z0-9.-]+[\w/.-]*",
        f"the ARN of an identity provider of IAM (…:oidc-provider/{GITHUB_ACTIONS})",
    ),
]
Subject = Annotated[
    str,
    # https://docs.github.com/en/actions/reference/security/oidc
    text(
        r"repo:[\w-]+(@(\d+|\*))?/[\w.-]+(@\d+)?:[\w./:@+#-]*([\w+#-]|\*)",
        'the subject of a token of GitHub Actions, such as "repo:your-org/receipt-vault:ref:refs/heads/main"',
    ),
]


class GitHubActions(Table):
    """
    Let workflows of GitHub Actions put pushes on the bus.

    An account has one identity provider for GitHub at most: name it, or have it made. `subjects` are which runs may;
    unless given, those for the refs of the ingress.
    """

    provider_arn: ProviderArn | None = None
    subjects: Annotated[tuple[Subject, ...], Field(strict=False)] = ()


class IngressSettings(Place):
    """
    Where pushes of one repository arrive. Environments name the bus by its ARN alone.

    The secrets of the webhook are texts of at least 16 characters; there are two while one replaces the other.
    """

    environment: Literal["ingress"] = INGRESS
    repository: Repository
    repository_id: RepositoryId
    webhook_secret_arns: Annotated[tuple[SecretArn, ...], Field(min_length=1, max_length=_MOST_SECRETS, strict=False)]
    refs: Annotated[tuple[Ref, ...], Field(min_length=1, max_length=_MOST_REFS, strict=False)] = ("refs/heads/main",)
    github_actions: GitHubActions | None = None

    @property
    def bus(self) -> str:
        """The name of the event bus with the pushes."""
        return f"{self.service}-github"

    @property
    def bus_arn(self) -> str:
        """The ARN of that bus."""
        return self.arn("events", f"event-bus/{self.bus}")

    @property
    def deliveries_table(self) -> str:
        """The name of the table that knows which deliveries were forwarded."""
        return f"{self.bus}-deliveries"

    @property
    def subjects(self) -> tuple[str, ...]:
        """Which runs of GitHub Actions may put pushes on the bus; none without the table."""
        if self.github_actions is None:
            return ()
        return self.github_actions.subjects or tuple(f"{each}:ref:{ref}" for ref in self.refs for each in self.sources)

    @property
    def sources(self) -> tuple[str, str]:
        """
        How subjects of the repository begin: with names alone, or, since July 2026, with numbers behind them.

        No name has an "@", so the star can stand for nothing but the owner's number.
        https://docs.github.com/en/actions/reference/security/oidc
        """
        owner, _, name = self.repository.partition("/")
        return f"repo:{self.repository}", f"repo:{owner}@*/{name}@{self.repository_id}"

    @property
    def provider_arn(self) -> str:
        """The ARN of GitHub's identity provider in the account, which is always the same."""
        return f"arn:{self.partition}:iam::{self.account}:oidc-provider/{GITHUB_ACTIONS}"

    def named(self, what: str) -> str:
        """Return the name of something in this stack. No environment can have the same: it would be called ingress."""
        return f"{self.prefix}-{what}"

    def forwards(self, ref: str) -> bool:
        """Say whether all that an environment's ref stands for, which may end with a star, is forwarded."""
        return any(ref.startswith(each[:-1]) if each.endswith("*") else ref == each for each in self.refs)


def load_ingress(directory: Path) -> IngressSettings | None:
    """
    Read where GitHub's webhooks arrive; None where nobody has said so, and releases begin by hand.

    Raises SettingsError with all problems of the file.
    """
    path = directory / f"{INGRESS}.toml"
    if not path.is_file():
        return None
    found = read_table(path, IngressSettings)
    problems = list(_contradictions(found)) if isinstance(found, IngressSettings) else found
    if problems or not isinstance(found, IngressSettings):
        raise SettingsError({path: problems})
    return found


def require_agreement(directory: Path, ingress: IngressSettings, environments: Sequence[EnvironmentSettings]) -> None:
    """Raise SettingsError for environments that listen on the bus for what never comes there."""
    problems = {}
    for settings in environments:
        found = list(_disagreements(ingress, settings))
        if found:
            problems[directory / f"{settings.environment}.toml"] = found
    if problems:
        raise SettingsError(problems)


def _disagreements(ingress: IngressSettings, settings: EnvironmentSettings) -> Iterator[Problem]:
    if settings.pushes is None or settings.github is None or settings.pushes.starts not in LISTENING:
        return
    for field in ("service", "account", "region"):
        ours, theirs = getattr(settings, field), getattr(ingress, field)
        if ours != theirs:
            yield Problem(field, f"is {ours!r}, and pushes arrive in that of ingress.toml, {theirs!r}")
    if settings.github.repository_id != ingress.repository_id:
        yield Problem(
            "github.repository_id",
            f"is {settings.github.repository_id}, and ingress.toml forwards pushes to {ingress.repository_id} alone",
        )
    if not ingress.forwards(settings.pushes.ref):
        yield Problem("pushes.ref", f"{settings.pushes.ref!r} is not forwarded: add it to refs in ingress.toml")


def _contradictions(settings: IngressSettings) -> Iterator[Problem]:
    """Find values that are well-formed one by one, and wrong together."""
    here = (settings.partition, settings.region, settings.account)
    for index, arn in enumerate(settings.webhook_secret_arns):
        _, partition, _, region, account, _ = arn.split(":", 5)
        if (partition, region, account) != here:
            yield Problem(
                f"webhook_secret_arns[{index}]",
                f"is in {partition} {region} {account}, but the webhooks arrive in {' '.join(here)}",
            )
        if arn in settings.webhook_secret_arns[:index]:
            yield Problem(f"webhook_secret_arns[{index}]", f"{arn!r} is named twice: remove one")
    most = 64 - len("receive-webhook") - 1  # of a function's name
    if len(settings.prefix) > most:
        yield Problem("service", f'"{settings.service}" has {len(settings.service)} characters; that is too many')
    yield from _of_actions(settings)


def _of_actions(settings: IngressSettings) -> Iterator[Problem]:
    if settings.github_actions is None:
        return
    provider = settings.github_actions.provider_arn
    if provider and provider != settings.provider_arn:
        yield Problem(
            "github_actions.provider_arn",
            f"must be that of GitHub Actions in this account, {settings.provider_arn}, not {provider}",
        )
    for index, subject in enumerate(settings.github_actions.subjects):
        source = re.sub(r"@\d+/", "@*/", ":".join(subject.split(":")[:2]))
        if source not in settings.sources:
            yield Problem(
                f"github_actions.subjects[{index}]",
                f"is of another repository; it must begin with {' or '.join(settings.sources)}",
            )
