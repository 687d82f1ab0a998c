"""
A pretend GitHub: one repository with its commits, what was said of them, and webhooks signed as GitHub signs them.

It is no part of the account: functions reach it over the internet, by the host that the settings name.
https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
"""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rehearsal.clock import Clock
from rehearsal.engine.in_process import network_here
from rehearsal.model.tls_listener import Response, TlsListener
from rehearsal.world.certificates import Certificate
from rehearsal.world.github_api import Reply, answer
from rehearsal.world.github_repository import MAIN, NO_COMMIT, SOMEBODY, CheckRun, PullRequest, Repository, full
from rehearsal.world.routing import Front, Request

TOKEN = "ghs_pretend0token0Kt8VqB3mZw6XrLd2"  # noqa: S105
WEBHOOK_SECRET = "pretend-webhook-secret-Rf5tYp9KxD"  # noqa: S105
FORMER_WEBHOOK_SECRET = "pretend-former-webhook-secret-Bn4sQc"  # noqa: S105
"""What the secrets of the settings hold: values that would be recognised wherever they leaked to."""

Weather = Literal["fine", "down", "slow", "broken", "limited"]
"""
How it answers: as it should, not at all, later than anybody waits for, with an error of its own, or with the limit of
what may be asked.
"""

HTTPS = 443
_LONGER_THAN_ANYBODY_WAITS_WALL_SECONDS = 8.0


@dataclass(frozen=True)
class Asked:
    """A request that came over the internet, and how it was answered; 0 where it was not."""

    method: str
    path: str
    status: int


@dataclass(frozen=True)
class Webhook:
    """A request that GitHub sends to whoever wants to know."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def delivery(self) -> str:
        """What tells it from all others; sent once more, it is the same."""
        return self.headers["X-GitHub-Delivery"]


def signed(secret: str, body: bytes) -> str:
    """Return the header that proves who has sent a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class GitHub:
    """
    One repository, see Repository.

    It opens no socket before `listen`, so that it can be made in one process and used in another that was forked from
    it.
    """

    def __init__(self, clock: Clock, name: str, number: int, known: Sequence[str]) -> None:
        self.repository = Repository(name, number, known, clock.now())
        self.asked: list[Asked] = []
        self.sent: list[Webhook] = []
        self._clock = clock
        self._lock = threading.Lock()  # nobody waits while he holds it
        self._weather: Weather = "fine"
        self._listener: TlsListener | None = None
        self._open: Callable[[], None] = lambda: None
        self._closing = threading.Event()

    # -- what people do

    def commit(self, sha: str, upon: str | None = None, message: str = "", author: str = SOMEBODY) -> str:
        """Make a commit upon another one, or upon where `main` is; nobody hears of it. Return its whole name."""
        sha = full(sha) if len(sha) < len(NO_COMMIT) else sha
        with self._lock:
            if sha not in self.repository.commits:
                parents = (upon or self.repository.refs[MAIN],)
                self.repository.add(sha, parents, message or f"Version {sha[:7]}", author, self._clock.now())
        return sha

    def checks(self, commit: str, *runs: CheckRun) -> None:
        """Let these be all that tools say of a commit."""
        with self._lock:
            self.repository.check_runs[commit] = list(runs)

    def merge(self, title: str, commit: str) -> PullRequest:
        """Say which pull request a commit came with, as one that was squashed."""
        with self._lock:
            made = PullRequest(len(self.repository.pull_requests) + 1, title, merged_as=commit)
            self.repository.pull_requests.append(made)
            return made

    def push(
        self,
        commit: str,
        ref: str = MAIN,
        *,
        sender: str = SOMEBODY,
        forced: bool = False,
        deleted: bool = False,
        annotated: bool = True,
        moves: bool = True,
        secret: str = WEBHOOK_SECRET,
        **repository: Any,
    ) -> Webhook:
        """
        Move a ref to a commit, made upon where that ref was if there is none of this name, and return what is told.

        A tag is a thing of its own that names the commit, unless it is not `annotated`. What `repository` names is said
        of the repository instead of what is true. If nothing `moves`, it is told all the same.
        """
        with self._lock:
            before = self.repository.refs.get(ref, NO_COMMIT)
            upon = self.repository.refs[MAIN] if before == NO_COMMIT else before
        commit = self.commit(commit, upon=upon, author=sender)
        with self._lock:
            if moves and deleted:
                self.repository.refs.pop(ref, None)
            elif moves:
                self.repository.refs[ref] = commit
            is_annotated = annotated and ref.startswith("refs/tags/")
            after = NO_COMMIT if deleted else full(f"{commit[:6]}a") if is_annotated else commit
            payload = {
                "ref": ref,
                "before": before,
                "after": after,
                "repository": {**self._said_of_repository(), **repository},
                "pusher": {"name": sender, "email": f"{sender}@users.noreply.github.com"},
                "sender": _person(sender),
                "created": before == NO_COMMIT and not deleted,
                "deleted": deleted,
                "forced": forced,
                "base_ref": MAIN if ref.startswith("refs/tags/") else None,
                "compare": f"https://github.com/{self.repository.name}/compare/{before[:12]}...{commit[:12]}",
                "commits": [] if deleted else [self._told(commit)],
                "head_commit": None if deleted else self._told(commit),
            }
        return self.webhook("push", payload, secret)

    def webhook(self, event: str, payload: Mapping[str, Any], secret: str = WEBHOOK_SECRET) -> Webhook:
        """Return what is sent for an event, signed; `sent` has it from now on, for who wants it sent once more."""
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        with self._lock:
            number = len(self.sent)
            delivery = hashlib.sha1(f"{number} {event}".encode() + body, usedforsecurity=False).hexdigest()
            headers = {
                "Accept": "*/*",
                "Content-Type": "application/json",
                "User-Agent": "GitHub-Hookshot/0a1b2c3",
                "X-GitHub-Delivery": "-".join(
                    (delivery[:8], delivery[8:12], delivery[12:16], delivery[16:20], delivery[20:32])
                ),
                "X-GitHub-Event": event,
                "X-GitHub-Hook-ID": "512345678",
                "X-GitHub-Hook-Installation-Target-ID": str(self.repository.number),
                "X-GitHub-Hook-Installation-Target-Type": "repository",
                "X-Hub-Signature-256": signed(secret, body),
            }
            self.sent.append(Webhook(headers, body))
            return self.sent[-1]

    def pull_request_of_fork(self, commit: str, sender: str = "stranger") -> Webhook:
        """Return what is told when somebody who may not push here proposes a commit of his own copy."""
        commit = self.commit(commit, author=sender)
        with self._lock:
            base = {"ref": "main", "sha": self.repository.refs[MAIN], "repo": self._said_of_repository()}
            name = f"{sender}/{self.repository.name.partition('/')[2]}"
            copy = {**self._said_of_repository(), "id": self.repository.number + 1, "full_name": name, "fork": True}
            head = {"ref": "main", "sha": commit, "repo": copy}
            payload = {
                "action": "opened",
                "number": 7,
                "pull_request": {"number": 7, "state": "open", "head": head, "base": base, "user": _person(sender)},
                "repository": self._said_of_repository(),
                "sender": _person(sender),
            }
        return self.webhook("pull_request", payload)

    # -- what fate does

    def become(self, weather: Weather) -> None:
        """Answer so from now on."""
        self._weather = weather
        if weather == "down":
            self._close()
        elif self._listener is None:
            self._open()

    # -- as a host

    def listen(self, certificate: Certificate, point: Callable[[int], object]) -> None:
        """Let functions in, unless it is down; `point` hears of the port on this machine, now and whenever it is up."""

        def open_again() -> None:
            front = Front(HTTPS, "https", str(certificate.chain_file), str(certificate.key_file))
            self._closing.clear()
            self._listener = TlsListener(front, self._answer)
            point(self._listener.port)

        self._open = open_again
        if self._listener is None and self._weather != "down":
            open_again()

    def stop(self) -> None:
        """Listen no more; safe to repeat."""
        self._open = lambda: None
        self._close()

    def _close(self) -> None:
        self._closing.set()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _answer(self, request: Request) -> Response:
        """Answer in whatever thread; without an answer, a function in this process has waited for it in no time."""
        reply = self._reply(request)
        with self._lock:
            self.asked.append(Asked(request.method, request.path, 0 if reply is None else reply.status))
        if reply is not None:
            return reply
        if network_here() is None:  # a thread of the listener, whose client waits on a socket
            self._closing.wait(_LONGER_THAN_ANYBODY_WAITS_WALL_SECONDS)
        raise TimeoutError("GitHub has not answered")

    def _reply(self, request: Request) -> Reply | None:
        match self._weather:
            case "slow" | "down":
                return None
            case "broken":
                return Reply(502, {"Content-Type": "text/html"}, b"<html>Unicorn!</html>")
            case "limited":
                limit = {"retry-after": "60", "x-ratelimit-remaining": "0"}
                return Reply.of(403, {"message": "You have exceeded a secondary rate limit."}, limit)
        with self._lock:
            return answer(self.repository, request, TOKEN, self._clock.now())

    def _told(self, sha: str) -> dict[str, Any]:
        commit = self.repository.commits[sha]
        person = {
            "name": commit.author,
            "email": f"{commit.author}@users.noreply.github.com",
            "username": commit.author,
        }
        return {
            "id": sha,
            "tree_id": full(sha[:5]),
            "distinct": True,
            "message": commit.message,
            "timestamp": commit.at.isoformat(timespec="seconds"),
            "url": f"https://github.com/{self.repository.name}/commit/{sha}",
            "author": person,
            "committer": person,
            "added": [],
            "removed": [],
            "modified": ["README.md"],
        }

    def _said_of_repository(self) -> dict[str, Any]:
        """In a push, times of the repository are numbers, but for one."""
        owner, _, name = self.repository.name.partition("/")
        now = self._clock.now()
        return {
            "id": self.repository.number,
            "node_id": "R_kgDOGJ0000",
            "name": name,
            "full_name": self.repository.name,
            "private": True,
            "owner": {**_person(owner), "name": owner, "type": "Organization"},
            "html_url": f"https://github.com/{self.repository.name}",
            "fork": False,
            "url": f"https://api.github.com/repos/{self.repository.name}",
            "created_at": 1557933565,
            "updated_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "pushed_at": int(now.timestamp()),
            "default_branch": "main",
            "master_branch": "main",
        }


def _person(login: str) -> dict[str, Any]:
    return {"login": login, "id": 583231, "node_id": "MDQ6VXNlcjU4MzIzMQ==", "type": "User", "site_admin": False}
