"""What settings say of GitHub, and of pushes that become releases."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from cdk.setting_types import BaseUrl, Problem, SecretArn, Service, Table, text
from cdk.settings_files import INGRESS

_LONGEST_RECONCILE_MINUTES = 60
LISTENING = frozenset({"push", "tag"})
"""With which `starts` an environment listens on the bus."""
_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"

Repository = Annotated[
    str,
    text(
        r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[\w.-]{1,100}",
        'an owner and a repository of GitHub, such as "your-org/receipt-vault"',
    ),
]
RepositoryId = Annotated[int, Field(ge=1)]
# https://git-scm.com/docs/git-check-ref-format
Ref = Annotated[
    str,
    text(
        r"refs/(heads|tags)/(?!.*(\.\.|//|/\.|@\{))[\w./@+#-]*([\w+#-]|\*)",
        'the whole name of a branch or a tag, such as "refs/heads/main" or "refs/tags/v*", with a star at its end only',
    ),
]


class GitHub(Table):
    """
    Where the source is, and how GitHub is asked about a commit and told what became of it.

    GitHub knows a repository by `repository_id`, whatever it is renamed to. The secret is JSON with "token": one that
    may read contents, checks and pull requests, and write commit statuses and deployments. `after_rollback` says what
    becomes of the commit on GitHub when its release was rolled back.
    """

    repository: Repository
    repository_id: RepositoryId
    token_secret_arn: SecretArn
    api_url: BaseUrl = "https://api.github.com"
    after_rollback: Literal["comment", "revert", "nothing"] = "comment"


def _usual_ref(given: dict[str, Any]) -> str:
    return f"{_TAGS}v*" if given.get("starts") == "tag" else f"{_BRANCHES}main"


class Pushes(Table):
    """
    What starts a release by itself; without this table humans alone do.

    `starts`: a push to the branch `ref` ("push"), a commit that the environment `after` has validated ("validated"), a
    tag that fits `ref` ("tag"), or nothing but a human ("by-hand"). With `after`, a tag waits for that environment,
    too. What GitHub did not tell is found by a look every `reconcile_minutes`.
    """

    starts: Literal["push", "validated", "tag", "by-hand"]
    ref: Annotated[Ref, Field(default_factory=_usual_ref)]
    after: Service | None = None
    reconcile_minutes: Annotated[int, Field(ge=1, le=_LONGEST_RECONCILE_MINUTES)] = 5


class _Here(Protocol):
    """What has to be known of the settings of an environment to judge those of pushes."""

    @property
    def service(self) -> str: ...
    @property
    def environment(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def github(self) -> GitHub | None: ...
    @property
    def pushes(self) -> Pushes | None: ...


def pushes_fit_together(settings: _Here) -> Iterator[Problem]:
    """Find what is wrong between the fields of [github] and [pushes]."""
    pushes = settings.pushes
    if pushes is None:
        return
    if settings.github is None:
        yield Problem("pushes", "goes with [github], which says whose pushes are meant: add that table, or remove this")
    if pushes.starts == "validated" and pushes.after is None:
        yield Problem("pushes.after", 'is missing: with starts = "validated", name the environment that goes before')
    if pushes.after is not None and pushes.starts in {"push", "by-hand"}:
        yield Problem("pushes.after", f'goes with starts = "validated" or "tag", not with "{pushes.starts}": remove it')
    if pushes.after == settings.environment:
        yield Problem("pushes.after", "must be another environment than this one")
    if pushes.starts == "tag" and not pushes.ref.startswith(_TAGS):
        yield Problem("pushes.ref", f'must be a tag with starts = "tag", such as "{_TAGS}v*", not {pushes.ref!r}')
    if pushes.starts != "tag" and not pushes.ref.startswith(_BRANCHES):
        yield Problem(
            "pushes.ref",
            f'must be a branch with starts = "{pushes.starts}", such as "{_BRANCHES}main", not {pushes.ref!r}',
        )
    if pushes.ref.startswith(_BRANCHES) and pushes.ref.endswith("*"):
        yield Problem(
            "pushes.ref", f"must name one branch, not {pushes.ref!r}: which of several is the newest cannot be told"
        )


def the_one_before_is_there(settings: _Here, path: Path) -> Iterator[Problem]:
    """
    Find an environment to go after whose record could not be read: it must be of the same service and account.

    Where no file but this one is in the folder, the other environment may be described elsewhere.
    """
    after = settings.pushes.after if settings.pushes else None
    others = {each.stem: each for each in sorted(path.parent.glob("*.toml")) if each.stem not in {path.stem, INGRESS}}
    if after is None or after == settings.environment or not others:
        return
    if after not in others:
        yield Problem(
            "pushes.after", f"names {after!r}, and this folder has no {after}.toml; it has {', '.join(others)}"
        )
        return
    try:
        other = tomllib.loads(others[after].read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError:
        return  # that file has a problem of its own, which is told there
    for field in ("service", "account", "region"):
        if other.get(field, getattr(settings, field)) != getattr(settings, field):
            yield Problem(
                "pushes.after",
                f"names {after!r}, whose {field} is {other[field]!r}, and this one's is {getattr(settings, field)!r}:"
                f" what an environment has validated can be read within one {field} only",
            )
