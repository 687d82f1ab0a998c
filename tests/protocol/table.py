"""A table of DynamoDB in memory, as far as the record uses one: quick enough for thousands of conditional writes."""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]

_PART = re.compile(r"(?P<path>[^\s,]+) = (?:if_not_exists\((?P<kept>[^,]+), (?P<default>:\w+)\)|(?P<value>:\w+))")
_FUNCTION = re.compile(r"(?P<name>attribute_exists|attribute_not_exists)\((?P<path>[^)]+)\)$")
_EQUAL = re.compile(r"(?P<path>[#\w.]+) = (?P<value>:\w+)$")
_SMALLER = re.compile(r"size\((?P<path>[#\w.]+)\) < (?P<value>:\w+)$")


class Table:
    """
    A boto3 client of DynamoDB that knows one table, whose keys are `environment` and `item`.

    Conditions and updates are those that the record writes; any other is a KeyError or ValueError, never a guess.
    `before` is called with the name of each operation, and `after` with the item that it has changed.
    """

    def __init__(
        self, before: Callable[[str], None] = lambda _: None, after: Callable[[str], None] = lambda _: None
    ) -> None:
        self.items: dict[str, Item] = {}
        self._before, self._after = before, after

    def get_item(self, *, TableName: str, Key: Item, ConsistentRead: bool) -> Item:  # noqa: N803  as boto3 has it
        """Read one item."""
        assert TableName
        assert ConsistentRead
        self._before("GetItem")
        found = self.items.get(_name(Key))
        return {"Item": deepcopy(found)} if found is not None else {}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> Item:  # noqa: N803  as above
        """Read several items at once."""
        self._before("BatchGetItem")
        ((table, request),) = RequestItems.items()
        assert request["ConsistentRead"]
        names = [_name(key) for key in request["Keys"]]
        return {"Responses": {table: [deepcopy(self.items[name]) for name in names if name in self.items]}}

    def put_item(self, **request: Any) -> Item:
        """Replace an item under a condition."""
        self._before("PutItem")
        self._write([{"Put": request}], "PutItem", "ConditionalCheckFailedException")
        return {}

    def update_item(self, *, ReturnValues: str = "NONE", **request: Any) -> Item:  # noqa: N803  as above
        """Change an item under a condition."""
        self._before("UpdateItem")
        self._write([{"Update": request}], "UpdateItem", "ConditionalCheckFailedException")
        return {"Attributes": deepcopy(self.items[_name(request["Key"])])} if ReturnValues == "ALL_NEW" else {}

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> Item:  # noqa: N803  as above
        """Do several writes, or none of them."""
        self._before("TransactWriteItems")
        self._write(TransactItems, "TransactWriteItems", "TransactionCanceledException")
        return {}

    def _write(self, writes: Sequence[Mapping[str, Any]], operation: str, refusal: str) -> None:
        met = [_is_met(self._found(write), next(iter(write.values()))) for write in writes]
        if not all(met):
            reasons = [{"Code": "None" if each else "ConditionalCheckFailed"} for each in met]
            answer: Any = {"Error": {"Code": refusal, "Message": "refused"}, "CancellationReasons": reasons}
            raise ClientError(answer, operation)
        changed = []
        for write in writes:
            if "Put" in write:
                item = deepcopy(write["Put"]["Item"])
            elif "Update" in write:
                item = _updated(self._found(write), write["Update"])
            else:
                continue
            self.items[_name(item)] = item
            changed.append(_name(item))
        for name in changed:
            self._after(name)

    def _found(self, write: Mapping[str, Any]) -> Item | None:
        (request,) = write.values()
        return self.items.get(_name(request.get("Key", request.get("Item"))))


def _name(key: Mapping[str, Any]) -> str:
    return str(key["item"]["S"])


def _is_met(item: Item | None, request: Mapping[str, Any]) -> bool:
    condition = request.get("ConditionExpression", "")
    return all(_holds(item or {}, part, request) for part in condition.split(" AND ") if part)


def _holds(item: Item, part: str, request: Mapping[str, Any]) -> bool:
    values, names = request.get("ExpressionAttributeValues", {}), request.get("ExpressionAttributeNames", {})
    if asked := _FUNCTION.match(part):
        return (_value(item, asked["path"], names) is not None) == (asked["name"] == "attribute_exists")
    if equal := _EQUAL.match(part):
        return _value(item, equal["path"], names) == values[equal["value"]]
    if smaller := _SMALLER.match(part):
        found = _value(item, smaller["path"], names)
        return found is not None and len(found["M"]) < int(values[smaller["value"]]["N"])
    raise ValueError(part)


def _value(item: Item, path: str, names: Mapping[str, str]) -> Any:
    first, *inner = [names[part] for part in path.split(".")]
    found = item.get(first)
    for name in inner:
        found = found["M"].get(name) if found else None
    return found


def _updated(found: Item | None, request: Mapping[str, Any]) -> Item:
    """Return the item after an update, which reads everything from the item as it was."""
    before = found if found is not None else deepcopy(dict(request["Key"]))
    names, values = request["ExpressionAttributeNames"], request.get("ExpressionAttributeValues", {})
    item = deepcopy(before)
    sets, _, removes = request["UpdateExpression"].partition("REMOVE ")
    for part in _PART.finditer(sets.removeprefix("SET ")):
        kept = _value(before, part["kept"], names) if part["kept"] else None
        value = values[part["default"] or part["value"]] if kept is None else kept
        *outer, last = [names[each] for each in part["path"].split(".")]
        place = item
        for name in outer:
            place = place[name]["M"]
        place[last] = deepcopy(value)
    for path in filter(None, removes.split(", ")):
        item.pop(names[path.strip()], None)
    return item
