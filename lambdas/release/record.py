"""
The release record in DynamoDB: one partition per environment.

| item | holds |
| --- | --- |
| `lease` | who works on the environment (`rules.Work`) |
| `live` | which release serves, and its rollback point (`rules.Live`) |
| `health` | the last reading of the way back's health (`rules.HealthReading`) |
| `maintenance` | until when people work on what the environment stands on (`rules.Maintenance`) |
| `release#<id>` | the history of one release |
| `color#<color>` | the version that was last brought up on a color |

`restores.py` keeps two more items: a restore of the database, and which instance serves since then; `callers.py` one
for each execution of which it is known who started it; `requests.py` and `release_approvals.py` what was asked for, and
what humans answered. The room `github` keeps which pushes wait, and what GitHub was told.

Every write that follows a claim is conditional on the token of that claim, so an execution that lost the environment
cannot change the record any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from lambdas.errors import AwsCallFailed, EnvironmentBusy, LeaseLost
from lambdas.release.rules import (
    Bake,
    EnvironmentRecord,
    HealthReading,
    Lease,
    Live,
    Maintenance,
    Order,
    OrderAction,
    Phase,
    PointStatus,
    RollbackPoint,
    Work,
    expired,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ConditionCheckTypeDef, PutTypeDef, TransactWriteItemTypeDef

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize

_MOST_EXECUTIONS = 20
"""How many executions a release's history names: deployment, rollback and clean-up, and what had to be repeated."""

Item = dict[str, Any]
Forwards = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Orders:
    """The orders in one release's history, as they were read and as they shall be, oldest first."""

    release_id: str
    before: list[Item]
    after: list[Item]


@dataclass(frozen=True)
class ReleaseRecord:
    """The record of one environment. `dynamodb` is a boto3 client."""

    dynamodb: "DynamoDBClient"
    table: str
    environment: str

    def read(self) -> EnvironmentRecord:
        """Read all that decides about the environment in one consistent request. Raises AwsCallFailed."""
        keys = [self._key(item) for item in ("lease", "live", "health", "maintenance")]
        answer = self.dynamodb.batch_get_item(RequestItems={self.table: {"Keys": keys, "ConsistentRead": True}})
        if answer.get("UnprocessedKeys"):
            message = "DynamoDB returned a part of the record only, which must not be taken for the whole"
            raise AwsCallFailed(message)
        items = {item["item"]: item for item in map(from_dynamodb, answer["Responses"][self.table])}
        return EnvironmentRecord(
            work=_work(items.get("lease")),
            live=_live(items.get("live")),
            health=_health(items.get("health")),
            maintenance=_maintenance(items.get("maintenance")),
        )

    def release(self, release_id: str) -> Item:
        """Read one release's history; empty when there is none."""
        answer = self.dynamodb.get_item(
            TableName=self.table, Key=self._key(f"release#{release_id}"), ConsistentRead=True
        )
        return from_dynamodb(answer.get("Item", {}))

    def claim(
        self,
        observed: Work,
        wanted: Work,
        *,
        live: Live | None = None,
        also: "Sequence[TransactWriteItemTypeDef]" = (),
    ) -> Lease:
        """
        Take the environment over from what was observed, in one conditional write.

        What was observed has decided on the claim: holder, phase and intents count, not only the token. A `live` item
        and what else there is to write (`also`) are written with it, or not at all. Raises EnvironmentBusy when
        somebody else claimed in between, or the holder went on to another phase or intent. A claim whose answer was
        lost is recognised.
        """
        claimed = replace(wanted, token=observed.token + 1)
        put = self._conditional_put(claimed, observed)
        try:
            writes = [*([self._put("live", _plain(live))] if live else []), *also]
            if writes:
                self.dynamodb.transact_write_items(TransactItems=[{"Put": put}, *writes])
            else:
                self.dynamodb.put_item(**put)
        except ClientError as error:
            raise_unless_condition_failed(error)
            current = self.read().work
            if current.holder != wanted.holder:
                who = f"Execution {current.holder}" if current.holder else "Maintenance, or somebody who has ended,"
                message = f"{who} claimed the environment first. Start again when it has ended."
                raise EnvironmentBusy(message) from error
            claimed = current
        return Lease(str(claimed.holder), claimed.token)

    def require_lease(
        self, lease: Lease, now: str, *, phase: Phase | None = None, intents: Forwards | None = None
    ) -> None:
        """
        Prove that this execution still holds the environment, and write down what it is about to change.

        A conditional write, because a mere read would be out of date before the change is made. Raises LeaseLost.
        """
        changes: Item = {"progress_at": now}
        if phase is not None:
            changes["phase"] = phase.value
        if intents is not None:
            changes["intents"] = intents
        self._transact_or_lose(lease, [self._lease_update(lease, changes)])

    def renew_lease(self, lease: Lease, now: str, *, bake: Bake | None = None) -> Work:
        """
        Prove that this execution still holds the environment, and return the lease item with the orders that it holds.

        With a `bake`, that is written down too. Proof and answer are one write, so no order is overlooked that was
        given before it. Raises LeaseLost.
        """
        changes = {"progress_at": now} | ({"bake": asdict(bake)} if bake else {})
        update = self._lease_update(lease, changes)["Update"]
        try:
            answer = self.dynamodb.update_item(**update, ReturnValues="ALL_NEW")
        except ClientError as error:
            raise self._lost(lease, error) from error
        return _work(from_dynamodb(answer["Attributes"]))

    def write_under_lease(self, lease: Lease, now: str, writes: "Sequence[TransactWriteItemTypeDef]") -> None:
        """Write something together with the proof that this execution still holds the environment. Raises LeaseLost."""
        self._transact_or_lose(lease, [self._lease_update(lease, {"progress_at": now}), *writes])

    def begin_shifting(self, lease: Lease, live: Live, phase: Phase, intents: Forwards, now: str) -> None:
        """From the first shift on, alarms and rollbacks are about this release: lease and live item change together."""
        changes = {"progress_at": now, "phase": phase.value, "intents": intents}
        writes = [
            self._lease_update(lease, changes),
            self._put("live", _plain(live)),
            self._history(live.release_id, {}, {"shifted_at": now}),
        ]
        self._transact_or_lose(lease, writes)

    def give_order(self, observed: Work, order: Order, history: Orders) -> None:
        """
        Let the holder's next look find an order, and let the release's history say so.

        A pause or promote stands in the lease item until another order, a resume or the next claim; of any other, the
        history alone tells. Raises EnvironmentBusy unless holder, token, phase and history are as they were observed.
        """
        in_force = {OrderAction.PAUSE: "SET #order = :order", OrderAction.PROMOTE: "SET #order = :order"}
        in_force[OrderAction.RESUME] = "REMOVE #order"
        condition = "#token = :token AND #holder = :holder AND #phase = :phase"
        names = {"#token": "token", "#holder": "holder", "#phase": "phase"}
        values: Item = {":token": observed.token, ":holder": observed.holder, ":phase": str(observed.phase)}
        expression = in_force.get(order.action, "")
        if expression:
            names["#order"] = "order"
        if ":order" in expression:
            values[":order"] = asdict(order)
        self._transact_or_busy([self._fenced("lease", expression, condition, names, values), self._remember(history)])

    def end_window(self, observed: Work, live: Live, history: Orders) -> None:
        """
        Give the way back of the promoted release up before its time.

        Raises EnvironmentBusy unless the environment is as free, and the release as live, as it was observed.
        """
        free = "#token = :token AND attribute_not_exists(#holder)"
        nobody = self._fenced("lease", "", free, {"#token": "token", "#holder": "holder"}, {":token": observed.token})
        point = live.rollback_point
        still = "#release_id = :release_id AND #point.#status = :valid AND #point.#ends = :ends"
        names = {
            "#release_id": "release_id",
            "#point": "rollback_point",
            "#status": "status",
            "#ends": "window_ends_at",
        }
        values = {
            ":release_id": live.release_id,
            ":valid": PointStatus.VALID.value,
            ":ends": point.window_ends_at if point else None,
            ":expired": PointStatus.EXPIRED.value,
        }
        expire = self._fenced("live", "SET #point.#status = :expired", still, names, values)
        self._transact_or_busy([nobody, expire, self._remember(history)])

    def _remember(self, history: Orders) -> "TransactWriteItemTypeDef":
        """Write a release's orders, if nobody else has since they were read; so an order is remembered once."""
        unchanged = "#orders = :before" if history.before else "attribute_not_exists(#orders)"
        values = {":orders": history.after} | ({":before": history.before} if history.before else {})
        item = f"release#{history.release_id}"
        return self._fenced(item, "SET #orders = :orders", unchanged, {"#orders": "orders"}, values)

    def _fenced(
        self, item: str, expression: str, condition: str, names: dict[str, str], values: Item
    ) -> "TransactWriteItemTypeDef":
        """Return a part of a transaction: a change under a condition, or without an expression the condition alone."""
        common: ConditionCheckTypeDef = {
            "TableName": self.table,
            "Key": self._key(item),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_dynamodb(values),
        }
        return {"Update": {**common, "UpdateExpression": expression}} if expression else {"ConditionCheck": common}

    def _transact_or_busy(self, writes: "list[TransactWriteItemTypeDef]") -> None:
        try:
            self.dynamodb.transact_write_items(TransactItems=writes)
        except ClientError as error:
            raise_unless_condition_failed(error)
            raise EnvironmentBusy("The record has changed since it was read.") from error

    def expire_rollback_point(self, lease: Lease, live: Live, now: str) -> None:
        """Give up the live release's way back, before the first change to the color that it stands on."""
        if live.rollback_point is None:
            return
        changes = {"progress_at": now}
        self._transact_or_lose(lease, [self._lease_update(lease, changes), self._put("live", _plain(expired(live)))])

    def commit(self, lease: Lease, live: Live, now: str) -> None:
        """Accept the release: it is live, its window begins, and its history says so."""
        changes = {"progress_at": now, "phase": Phase.COMMITTED.value, "intents": {}}
        color = {"version": live.version, "release_id": live.release_id, "at": now}
        writes = [
            self._lease_update(lease, changes),
            self._put("live", _plain(live)),
            self._put(f"color#{live.color}", color),
            self._history(live.release_id, {"outcome": "promoted"}, {"promoted_at": now}),
        ]
        self._transact_or_lose(lease, writes)

    def finish(
        self,
        lease: Lease,
        phase: Phase,
        now: str,
        outcomes: Mapping[str, Mapping[str, Any]],
        *,
        live: Live | None = None,
    ) -> None:
        """
        Let the environment go, with the phase in which the work ended, and how its releases ended, by release id.

        All of it or nothing: who comes late must not overwrite how a release ended for another execution. Repeating a
        finished `finish` is a no-op. Raises LeaseLost when another execution holds the environment.
        """
        update = self._lease_update(
            lease, {"progress_at": now, "phase": phase.value}, remove=["holder", "bake", "order"]
        )
        writes = [update, *(self._history(each, facts, {"ended_at": now}) for each, facts in outcomes.items())]
        writes += [self._put("live", _plain(live))] if live else []
        try:
            self._transact_or_lose(lease, writes)
        except LeaseLost:
            work = self.read().work
            if work.holder is not None or work.token != lease.token or work.phase is not phase:
                raise

    def note_release(self, release_id: str, facts: Mapping[str, Any], *, keep: Mapping[str, Any] | None = None) -> None:
        """
        Write facts into a release's history; those in `keep` only where they are not yet written.

        What was recorded before the first change, such as the rollback point, must survive a repeated step. How a
        release ended is not for this, which everybody may write at any time, but for `commit` and `finish`.
        """
        self.dynamodb.update_item(**self._history(release_id, facts, keep or {})["Update"])

    def note_execution(self, release_id: str, execution: str, began_at: str) -> bool:
        """
        Remember that an execution worked on a release; return False, and write nothing, when there is no such release.

        Two that are noted at once both stay: the map comes first, in a write that changes nothing where it is, because
        no entry can be set in a map that is not there. Safe to repeat. Who comes after `_MOST_EXECUTIONS` is not
        remembered: an item of DynamoDB has a size, and a release must not fail because of its report.
        """
        names = {"#item": "item", "#executions": "executions"}
        try:
            self._update_release(
                release_id,
                "SET #executions = if_not_exists(#executions, :none)",
                "attribute_exists(#item)",
                names,
                {":none": {}},
            )
        except ClientError as error:
            raise_unless_condition_failed(error)
            return False
        try:
            self._update_release(
                release_id,
                "SET #executions.#execution = :began",
                "size(#executions) < :most",
                {"#executions": "executions", "#execution": execution},
                {":began": began_at, ":most": _MOST_EXECUTIONS},
            )
        except ClientError as error:
            raise_unless_condition_failed(error)
        return True

    def _update_release(
        self, release_id: str, expression: str, condition: str, names: dict[str, str], values: Item
    ) -> None:
        self.dynamodb.update_item(
            **self._fenced(f"release#{release_id}", expression, condition, names, values)["Update"]
        )

    def _history(
        self, release_id: str, facts: Mapping[str, Any], kept: Mapping[str, Any]
    ) -> "TransactWriteItemTypeDef":
        assignments = [f"#s{n} = :s{n}" for n in range(len(facts))]
        assignments += [f"#k{n} = if_not_exists(#k{n}, :k{n})" for n in range(len(kept))]
        names = {f"#s{n}": name for n, name in enumerate(facts)} | {f"#k{n}": name for n, name in enumerate(kept)}
        values = {f":s{n}": _serialize(value) for n, value in enumerate(facts.values())}
        values |= {f":k{n}": _serialize(value) for n, value in enumerate(kept.values())}
        return {
            "Update": {
                "TableName": self.table,
                "Key": self._key(f"release#{release_id}"),
                "UpdateExpression": "SET " + ", ".join(assignments),
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
        }

    def note_health(self, reading: HealthReading) -> None:
        """Keep a reading of the way back's health for the moment in which it cannot be read."""
        item = {**self.plain_key("health"), **asdict(reading)}
        self.dynamodb.put_item(TableName=self.table, Item=to_dynamodb(item))

    def note_maintenance(self, observed: Work, maintenance: Maintenance) -> None:
        """
        Write down until when there is maintenance; one that was noted before is over. Safe to repeat.

        Whoever was about to claim a free environment without knowing of it has to look again: the token grows. Raises
        EnvironmentBusy unless holder and token are as they were observed.
        """
        put = self._put("maintenance", asdict(maintenance))
        self._transact_or_busy([put, self._nobody_claims_unseen(observed)])

    def _nobody_claims_unseen(self, observed: Work) -> "TransactWriteItemTypeDef":
        names = {"#token": "token", "#holder": "holder"}
        if observed.holder is not None:
            values: Item = {":token": observed.token, ":holder": observed.holder}
            return self._fenced("lease", "", "#token = :token AND #holder = :holder", names, values)
        free = "attribute_not_exists(#holder) AND "
        free += "#token = :token" if observed.token else "attribute_not_exists(#token)"
        values = {":next": observed.token + 1} | ({":token": observed.token} if observed.token else {})
        return self._fenced("lease", "SET #token = :next", free, names, values)

    def _lease_update(
        self, lease: Lease, changes: Item, *, remove: list[str] | None = None
    ) -> "TransactWriteItemTypeDef":
        names = {f"#{name}": name for name in [*changes, *(remove or []), "holder", "token"]}
        values = {f":{name}": _serialize(value) for name, value in changes.items()}
        values |= {":my_holder": {"S": lease.holder}, ":my_token": {"N": str(lease.token)}}
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
        if remove:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in remove)
        return {
            "Update": {
                "TableName": self.table,
                "Key": self._key("lease"),
                "UpdateExpression": expression,
                "ConditionExpression": "#holder = :my_holder AND #token = :my_token",
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
            }
        }

    def _conditional_put(self, work: Work, observed: Work) -> "PutTypeDef":
        """
        Return the request that replaces the lease item, if it is in all that decides what it was observed to be.

        The token alone would not do: with the same one, its holder may have shifted traffic since, so that what was to
        be aborted is to be rolled back, and settle would take the holder's late write for a human's.
        """
        put: PutTypeDef = {
            "TableName": self.table,
            "Item": to_dynamodb({**self.plain_key("lease"), **_plain(work)}),
            "ConditionExpression": "attribute_not_exists(#token)",
            "ExpressionAttributeNames": {"#token": "token"},
        }
        if observed.token == 0:
            return put
        decisive: Item = {"token": observed.token, "holder": observed.holder, "phase": observed.phase}
        if observed.intents:  # the first one comes with a phase of its own
            decisive["intents"] = observed.intents
        conditions = [
            f"#{name} = :{name}" if value else f"attribute_not_exists(#{name})" for name, value in decisive.items()
        ]
        put["ConditionExpression"] = " AND ".join(conditions)
        put["ExpressionAttributeNames"] = {f"#{name}": name for name in decisive}
        put["ExpressionAttributeValues"] = to_dynamodb({f":{name}": value for name, value in decisive.items() if value})
        return put

    def _put(self, item: str, attributes: Item) -> "TransactWriteItemTypeDef":
        return {"Put": {"TableName": self.table, "Item": to_dynamodb({**self.plain_key(item), **attributes})}}

    def _transact_or_lose(self, lease: Lease, writes: "list[TransactWriteItemTypeDef]") -> None:
        try:
            if len(writes) == 1:
                self.dynamodb.update_item(**writes[0]["Update"])
            else:
                self.dynamodb.transact_write_items(TransactItems=writes)
        except ClientError as error:
            raise self._lost(lease, error) from error

    def _lost(self, lease: Lease, error: ClientError) -> LeaseLost:
        """Return what a failed condition means; every other failure is passed on."""
        raise_unless_condition_failed(error)
        return LeaseLost(f"Execution {lease.holder} no longer holds {self.environment} (token {lease.token}).")

    def plain_key(self, item: str) -> Item:
        """Return the key of one of the environment's items."""
        return {"environment": self.environment, "item": item}

    def _key(self, item: str) -> Item:
        return to_dynamodb(self.plain_key(item))


def raise_unless_condition_failed(error: ClientError) -> None:
    """
    Pass every other failure on.

    A transaction names the reason of each of its writes:
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """
    code = error.response["Error"]["Code"]
    reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
    if code == "ConditionalCheckFailedException":
        return
    if code == "TransactionCanceledException" and "ConditionalCheckFailed" in reasons:
        return
    raise error


def _plain(value: Work | Live) -> Item:
    return {name: content for name, content in asdict(value).items() if content is not None}


def to_dynamodb(item: Mapping[str, Any]) -> Item:
    """Write plain values as DynamoDB takes them."""
    return {name: _serialize(value) for name, value in item.items()}


def from_dynamodb(item: Item) -> Item:
    """Read plain values from what DynamoDB returns; numbers are Decimals."""
    return {name: _deserialize(value) for name, value in item.items()}


def _work(item: Item | None) -> Work:
    if item is None:
        return Work()
    return Work(
        token=int(item["token"]),
        holder=item.get("holder"),
        phase=Phase(item["phase"]) if "phase" in item else None,
        release_id=item.get("release_id"),
        claimed_at=item.get("claimed_at"),
        progress_at=item.get("progress_at"),
        action=item.get("action"),
        intents=_weights(item.get("intents", {})),
        loser=_loser(item.get("loser", {})),
        bake=_bake(item["bake"]) if "bake" in item else None,
        order=Order(**{**item["order"], "action": OrderAction(item["order"]["action"])}) if "order" in item else None,
        infrastructure=item.get("infrastructure"),
        database=item.get("database"),
        asked_by=item.get("asked_by"),
    )


def _bake(item: Item) -> Bake:
    return Bake(percent=int(item["percent"]), began_at=item["began_at"], ends_at=item["ends_at"])


def _loser(item: Item) -> Item:
    return {**item, "intents": _weights(item["intents"])} if "intents" in item else item


def _weights(forwards: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    return {route: {group: int(weight) for group, weight in weights.items()} for route, weights in forwards.items()}


def _live(item: Item | None) -> Live | None:
    if item is None:
        return None
    point = item.get("rollback_point")
    return Live(
        release_id=item["release_id"],
        version=item["version"],
        color=item["color"],
        since=item["since"],
        rollback_point=_rollback_point(point) if point else None,
        no_automatic_rollback=item.get("no_automatic_rollback"),
    )


def _rollback_point(item: Item) -> RollbackPoint:
    return RollbackPoint(
        status=PointStatus(item["status"]),
        color=item["color"],
        version=item["version"],
        release_id=item["release_id"],
        target_groups=item["target_groups"],
        capacity=int(item["capacity"]),
        window_ends_at=item.get("window_ends_at"),
    )


def _health(item: Item | None) -> HealthReading | None:
    if item is None:
        return None
    return HealthReading(color=item["color"], healthy=int(item["healthy"]), at=item["at"])


def _maintenance(item: Item | None) -> Maintenance | None:
    return Maintenance(until=item["until"], reason=item["reason"], by=item["by"]) if item else None
