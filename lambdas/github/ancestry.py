"""Which of two commits is the older one, as far as GitHub says."""

from collections.abc import Callable

from lambdas.errors import AwsCallFailed, GitHubRefused, GitHubUnavailable
from lambdas.github.github_api import GitHub
from lambdas.observability import FAILED_REQUEST, logger

NO_ANSWER = (GitHubUnavailable, GitHubRefused, AwsCallFailed, *FAILED_REQUEST)
"""Why GitHub does not say something: neither it nor its token may keep a push from being released."""


def ancestry_of(github: GitHub, commit: str) -> Callable[[str], bool | None]:
    """
    Return what says whether the commit is an ancestor of another one; None where GitHub does not know, or not now.

    Each other commit is asked about once: who decides anew, because others were faster, does not ask again.
    """
    known: dict[str, bool | None] = {}

    def is_behind(other: str) -> bool | None:
        if other not in known:
            try:
                known[other] = github.compare(other, commit).status == "behind"
            except NO_ANSWER as error:
                logger.warning("GitHub does not say which commit is older", reason=str(error))
                known[other] = None
        return known[other]

    return is_behind
