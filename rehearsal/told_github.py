"""What GitHub shows at the end to who looks at a commit there."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rehearsal.account import Account


@dataclass(frozen=True)
class ToldDeployment:
    """A deployment as GitHub shows it; of its states the last one is where it is."""

    environment: str
    commit: str
    states: Sequence[str]


@dataclass(frozen=True)
class ToldGitHub:
    """By commit, `statuses` has the state of each context, and `comments` has texts; pull requests are open ones."""

    statuses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    deployments: Sequence[ToldDeployment] = ()
    comments: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pull_requests: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the report's form."""
        return {
            "statuses": [
                {"commit": commit, "context": context, "state": state}
                for commit, states in self.statuses.items()
                for context, state in states.items()
            ],
            "deployments": [{**asdict(each), "states": list(each.states)} for each in self.deployments],
            "comments": [{"commit": commit, "text": text} for commit, all_ in self.comments.items() for text in all_],
            "pull_requests": list(self.pull_requests),
        }


def read_github(account: Account) -> ToldGitHub:
    """Read it where the pretended GitHub keeps it; nothing where settings name no repository."""
    if account.world.github is None:
        return ToldGitHub()
    repository = account.world.github.repository
    return ToldGitHub(
        statuses={
            commit: {status.context: status.state for status in statuses}
            for commit, statuses in repository.statuses.items()
        },
        deployments=[ToldDeployment(each.environment, each.sha, each.states) for each in repository.deployments],
        comments=repository.comments,
        pull_requests=[each.title for each in repository.pull_requests if not each.merged_as],
    )
