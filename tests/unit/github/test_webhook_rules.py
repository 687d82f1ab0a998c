"""Nothing of a webhook is believed but what GitHub has signed, and nothing is forwarded but what settings want."""

import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.github.webhook_rules import (
    MOST_BYTES,
    Outcome,
    Push,
    Subscription,
    WebhookRequest,
    forget_at,
    is_signed,
    judge,
    read_push,
    why_refused_unread,
)
from tests.unit.github.webhooks import (
    BEFORE,
    COMMIT,
    DELIVERY,
    MAIN,
    NEXT_SECRET,
    NOTHING,
    NOW,
    PAYLOAD,
    PUSHED_AT,
    REPOSITORY_ID,
    SECRET,
    TAG,
    WANTED,
    event,
    payload,
    raw,
    request,
)


def told(given: WebhookRequest, secrets: tuple[bytes, ...] = (SECRET,), wanted: Subscription = WANTED) -> str:
    """Return status and reason, or the commit that is forwarded."""
    outcome = why_refused_unread(given) or judge(given, secrets, wanted)
    return outcome.commit if isinstance(outcome, Push) else f"{outcome.status.value} {outcome.reason}"


def test_a_push_is_forwarded_as_a_dozen_fields() -> None:
    found = judge(request(), (SECRET,), WANTED)
    assert isinstance(found, Push)
    assert found.detail() == {
        "delivery": DELIVERY,
        "repository_id": REPOSITORY_ID,
        "repository": "your-org/receipt-vault",
        "ref": MAIN,
        "commit": COMMIT,
        "before": BEFORE,
        "created": False,
        "deleted": False,
        "forced": False,
        "sender": "ada",
        "pushed_at": "2026-03-02T10:00:03Z",
        "compare": "https://github.com/your-org/receipt-vault/compare/9e1c2f400000...4f2c1e900000",
        "fork": False,
    }


def test_of_a_tag_the_commit_is_forwarded_and_not_the_tag() -> None:
    """An annotated tag is an object of its own, which nobody can release."""
    body = raw(payload(ref="refs/tags/v1.2.0", after=TAG, before=NOTHING, created=True))
    found = judge(request(body), (SECRET,), WANTED)
    assert isinstance(found, Push)
    assert (found.ref, found.commit) == ("refs/tags/v1.2.0", COMMIT)


def test_a_push_says_when_it_was_pushed_and_not_when_its_commit_was_written() -> None:
    found = read_push(raw(payload(repository__pushed_at="2026-03-02T11:00:03+01:00")), DELIVERY)
    assert found is not None
    assert found.pushed_at == "2026-03-02T10:00:03Z"


@pytest.mark.parametrize("as_base64", [False, True])
def test_the_bytes_that_came_are_those_that_were_signed(as_base64: bool) -> None:  # noqa: FBT001  parameter
    """Lambda hands text over as text, and anything else as base64."""
    body = json.dumps(payload(pusher__name="Ærø €"), ensure_ascii=False).encode()
    assert told(WebhookRequest.from_event(event(body, as_base64=as_base64))) == COMMIT


UNSIGNED = "401 GitHub has not signed this with the secret of this address."


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "sha256=" + "ä" * 64,
        "sha256=\udcff",
        hmac.new(SECRET, raw(PAYLOAD), "sha256").hexdigest(),
        "sha256=" + hmac.new(SECRET, raw(PAYLOAD), "sha256").hexdigest().upper(),
        "sha256=" + hmac.new(SECRET, raw(PAYLOAD) + b" ", "sha256").hexdigest(),
        "sha256=" + hmac.new(b"", raw(PAYLOAD), "sha256").hexdigest(),
    ],
)
def test_nothing_that_is_not_signed_is_read(signature: str | None) -> None:
    """A header may hold anything, also what a comparison of texts would raise for."""
    assert told(request(x_hub_signature_256=signature)).startswith(UNSIGNED)


def test_one_changed_byte_is_not_signed() -> None:
    body = raw(PAYLOAD)
    changed = body.replace(COMMIT.encode(), TAG.encode())
    assert told(replace(request(), body=changed)).startswith(UNSIGNED)


def test_two_secrets_are_accepted_while_one_replaces_the_other() -> None:
    both = (SECRET, NEXT_SECRET)
    assert [told(request(secret=each), both) for each in both] == [COMMIT, COMMIT]
    assert told(request(secret=b"a secret of nobody here"), both).startswith(UNSIGNED)


@pytest.mark.parametrize("weak", [b"", b"fifteen letters"])
def test_a_secret_that_can_be_guessed_signs_nothing(weak: bytes) -> None:
    """Whoever knows that a secret is empty can sign."""
    assert not is_signed(request(secret=weak), (weak,))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (request(method="GET"), "405 GitHub sends webhooks as POST."),
        (request(method="PUT"), "405 GitHub sends webhooks as POST."),
        (replace(request(), body=None), f"413 More than {MOST_BYTES} bytes are not looked at."),
        (request(content_type="application/x-www-form-urlencoded"), "415 Set the webhook's content type to"),
        (request(content_type=None), "415 Set the webhook's content type to"),
        (request(x_github_event=None), "400 The header X-GitHub-Event names no event."),
        (request(x_github_event="push\nforged line"), "400 The header X-GitHub-Event names no event."),
        (request(x_github_event="ping"), "202 Only pushes are forwarded. The secret is right."),
        (request(x_github_event="pull_request"), "202 Only pushes are forwarded."),
        (request(x_github_delivery=None), "400 The header X-GitHub-Delivery names no delivery."),
        (request(x_github_delivery="1\n2"), "400 The header X-GitHub-Delivery names no delivery."),
    ],
)
def test_what_is_no_push_is_answered_in_words(given: WebhookRequest, reason: str) -> None:
    assert told(given).startswith(reason)


def test_a_charset_is_no_other_content_type() -> None:
    assert told(request(content_type="application/json; charset=utf-8")) == COMMIT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"repository__id": 1}, "The push is to another repository than that of settings, by its number."),
        ({"ref": "refs/heads/feature"}, "The push is to another ref than those of settings."),
        ({"ref": "refs/heads/main2"}, "The push is to another ref than those of settings."),
        ({"ref": "refs/heads/refs/heads/main"}, "The push is to another ref than those of settings."),
        ({"ref": "refs/tags/main"}, "The push is to another ref than those of settings."),
        ({"ref": "refs/tags/nightly"}, "The push is to another ref than those of settings."),
        ({"deleted": True, "after": NOTHING, "head_commit": None}, "The ref was deleted."),
        ({"head_repository": {"id": 7}}, "The commit is in a fork."),
    ],
)
def test_pushes_that_nobody_wants_are_not_forwarded(changes: dict[str, Any], reason: str) -> None:
    """GitHub is told that all is well: its list of failed deliveries is for failures."""
    assert told(request(raw(payload(**changes)))) == f"202 {reason}"


def test_a_ref_is_wanted_letter_by_letter_up_to_a_star() -> None:
    wanted = Subscription(REPOSITORY_ID, ("refs/heads/main", "refs/tags/v*"))
    refs = ["refs/heads/main", "refs/tags/v1", "refs/heads/Main", "refs/heads/main/x", "refs/tags/1v", "heads/main"]
    assert [each for each in refs if wanted.wants(each)] == ["refs/heads/main", "refs/tags/v1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"ref": "main"},
        {"ref": "refs/heads/ma\nin"},
        {"ref": "refs/heads/" + "a" * 300},
        {"ref": None},
        {"ref": ["refs/heads/main"]},
        {"after": "4f2c1e9"},
        {"after": COMMIT.upper()},
        {"after": 7},
        {"after": TAG},
        {"before": ""},
        {"created": 0},
        {"deleted": "false"},
        {"forced": None},
        {"head_commit": {"id": TAG}},
        {"head_commit": []},
        {"head_repository": []},
        {"ref": "refs/tags/v1", "head_commit": None},
        {"ref": "refs/tags/v1", "head_commit": {"id": "x"}},
        {"repository": []},
        {"repository": None},
        {"repository__id": "412906233"},
        {"repository__id": True},
        {"repository__id": 412906233.0},
        {"repository__full_name": "receipt-vault"},
        {"repository__full_name": "a/b/c"},
        {"repository__pushed_at": None},
        {"repository__pushed_at": "yesterday"},
        {"repository__pushed_at": "2026-03-02T10:00:03"},
        {"repository__pushed_at": "0001-01-01T00:00:00+23:59"},
        {"repository__pushed_at": 10**17},
        {"repository__pushed_at": 10**30},
        {"repository__pushed_at": -1},
        {"sender": {}},
        {"sender__login": "a b"},
        {"sender__login": ""},
        {"compare": "javascript:alert(1)"},
        {"compare": None},
    ],
)
def test_one_malformed_field_is_enough(changes: dict[str, Any]) -> None:
    """GitHub signs much that is no push; whose sender chose an event of that name in the header, which is unsigned."""
    assert told(request(raw(payload(**changes)))) == "400 This is no push as GitHub describes one."


@pytest.mark.parametrize("field", [name for name in PAYLOAD if name not in {"commits", "pusher", "base_ref"}])
def test_no_field_may_be_missing(field: str) -> None:
    body = raw({name: value for name, value in PAYLOAD.items() if name != field})
    assert told(request(body)) == "400 This is no push as GitHub describes one."


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"push"',
        b"NaN",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"9" * 10_000,
        b"payload=%7B%7D",
    ],
)
def test_what_is_no_json_object_is_no_push(body: bytes) -> None:
    assert told(request(body)) == "400 This is no push as GitHub describes one."


def test_what_was_forgotten_is_too_old() -> None:
    """Otherwise whoever has kept a signed body could send it again when nobody remembers it."""
    remembered = forget_at(NOW) - NOW.timestamp()
    last = NOW + timedelta(days=3)
    assert told(request(now=last - timedelta(seconds=3))) == COMMIT
    assert told(request(now=last)).startswith("400 The push is older than 3 days.")
    assert remembered > timedelta(days=3, hours=1).total_seconds()


def test_a_push_of_tomorrow_is_refused() -> None:
    """It would be the newest one until then."""
    tomorrow = raw(payload(repository__pushed_at=PUSHED_AT + 86400))
    soon = raw(payload(repository__pushed_at=PUSHED_AT + 60))
    assert told(request(tomorrow)) == "400 The push is of a time that is still to come."
    assert told(request(soon)) == COMMIT


def test_a_delivery_is_known_by_what_is_signed() -> None:
    """Whoever replays one can write any number into the headers."""
    again = request(x_github_delivery="00000000-0000-0000-0000-000000000000")
    assert again.digest == request().digest
    assert request(raw(payload(repository__pushed_at=PUSHED_AT + 1))).digest != request().digest


@pytest.mark.parametrize("as_base64", [False, True])
def test_too_much_is_not_looked_at(as_base64: bool) -> None:  # noqa: FBT001  parameter
    fits, too_much = b" " * MOST_BYTES, b" " * (MOST_BYTES + 1)
    assert WebhookRequest.from_event(event(fits, as_base64=as_base64)).body == fits
    assert WebhookRequest.from_event(event(too_much, as_base64=as_base64)).body is None


@pytest.mark.parametrize("body", ["!", "ä", "AAA", "A" * 5])
def test_what_is_no_base64_is_signed_by_nobody(body: str) -> None:
    given = {**event(), "body": body, "isBase64Encoded": True}
    assert told(WebhookRequest.from_event(given)).startswith(UNSIGNED)


def test_a_request_without_headers_or_body_is_answered() -> None:
    given = {"requestContext": {"http": {"method": "POST"}, "timeEpoch": 1772445605000}}
    assert told(WebhookRequest.from_event(given)).startswith(UNSIGNED)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    *(name for name in PAYLOAD if name not in {"commits", "pusher", "base_ref"}),
    "head_repository",
    "repository__id",
    "repository__full_name",
    "repository__pushed_at",
    "sender__login",
    "head_commit__id",
)


@given(st.sampled_from(FIELDS), JSON)
def test_whatever_is_in_a_field_it_is_answered(field: str, value: Any) -> None:
    """And what is forwarded is of the form that is promised."""
    body = json.dumps(payload(**{field: value})).encode("utf-8", "surrogatepass")
    outcome = judge(request(body), (SECRET,), WANTED)
    if isinstance(outcome, Push):
        assert outcome.commit == COMMIT
        assert outcome.detail().keys() == set(Push.__dataclass_fields__)
        json.dumps(outcome.detail(), allow_nan=False).encode()
    else:
        assert outcome.status.value < 500


@given(st.binary(max_size=200), st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_whatever_is_sent_it_is_answered(body: bytes, signature: str, kind: str, delivery: str) -> None:
    given = request(body, x_hub_signature_256=signature, x_github_event=kind, x_github_delivery=delivery)
    outcome = judge(given, (SECRET,), WANTED)
    assert isinstance(outcome, Outcome)
    assert outcome.status.value == 401


@given(st.binary(max_size=200), st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_signed_it_is_answered(body: bytes, kind: str, delivery: str) -> None:
    outcome = judge(request(body, x_github_event=kind, x_github_delivery=delivery), (SECRET,), WANTED)
    assert isinstance(outcome, Outcome)
    assert outcome.status.value in {202, 400}
