"""How moto's DynamoDB reads expressions, and what it tells of items."""

import base64
import copy
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

import moto.dynamodb.responses
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize, dynamo_to_dict
from moto.dynamodb.parsing.ast_nodes import Node
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.dynamodb.parsing.validators import DepthFirstTraverser

from rehearsal.engine.shortcuts.copying import ATOMS
from rehearsal.engine.shortcuts.shortcut import Shortcut

_LIGHT = 400_000
"""Bytes. What weighs no more is in no danger of being refused by moto."""


def shortcuts() -> Iterator[Shortcut]:
    """Yield what to replace."""
    yield Shortcut(UpdateExpressionParser, "make", _reading_expressions())
    yield Shortcut(ConditionExpressionParser, "_lex_one_node", _reading_words())
    yield Shortcut(DepthFirstTraverser, "traverse_node_recursively", _traverse)
    yield Shortcut(DynamoType, "to_regular_json", _to_regular_json)
    yield Shortcut(Item, "__init__", _weighing_once())
    yield Shortcut(moto.dynamodb.responses, "dynamo_to_dict", _to_dict)


def _reading_expressions() -> Any:
    """Parse the same update once: moto looks at the tree, and copies it before it changes anything in it."""
    return classmethod(lru_cache(maxsize=1024)(vars(UpdateExpressionParser)["make"].__func__))


def _reading_words() -> Any:
    """Look once which word a condition, or the rest of one, begins with."""
    really_lex: Any = ConditionExpressionParser._lex_one_node  # which asks its class for names, and nothing else

    @lru_cache(maxsize=4096)
    def first_word(text: str) -> tuple[Any, str]:
        node, _ = really_lex(ConditionExpressionParser, text)
        return node.nonterminal, node.text

    def lex(parser: ConditionExpressionParser, text: str) -> tuple[Any, str]:
        nonterminal, word = first_word(text)
        node = parser.Node(nonterminal=nonterminal, kind=parser.Kind.LITERAL, text=word, value=word, children=[])
        return node, text[len(word) :]

    return lex


def _weighing_once() -> Any:
    """Weigh a new item as a whole: moto weighs it again with each attribute, and refuses one that is too heavy."""
    really_make = Item.__init__

    def make(item: Item, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
        attributes = {name: DynamoType(value) for name, value in attrs.items()}
        if sum(bytesize(name) + value.size() for name, value in attributes.items()) > _LIGHT:
            really_make(item, hash_key, range_key, attrs)
            return
        item.hash_key, item.range_key = hash_key, range_key
        item.attrs = LimitedSizeDict()
        dict.update(item.attrs, attributes)

    return make


class _Kinds(dict[type, bool]):
    """Tells of a type whether it is one of some types, or derived from one: to ask an abstract class takes long."""

    def __init__(self, some: tuple[type, ...]) -> None:
        super().__init__()
        self._some = some

    def __missing__(self, kind: type) -> bool:
        self[kind] = known = issubclass(kind, self._some)
        return known


_NODES = _Kinds((Node,))
_kinds = cache(_Kinds)


def _traverse(traverser: Any, node: Any, child_id: int = -1) -> Any:
    """Ask a traverser once which nodes it wants to see, and whether it wants to know of children, not at every node."""
    is_told = type(traverser).pre_processing_of_child is not DepthFirstTraverser.pre_processing_of_child
    return _traverse_for(traverser, _kinds(traverser.nodes_to_be_processed()), is_told, node, child_id)


def _traverse_for(traverser: Any, wanted: _Kinds, is_told: bool, node: Any, child_id: int) -> Any:  # noqa: FBT001
    if not _NODES[type(node)]:
        return node
    parent = node.parent
    for number, child in enumerate(node.children or ()):
        if is_told:
            traverser.pre_processing_of_child(node, number)
        _traverse_for(traverser, wanted, is_told, child, number)
    if wanted[type(node)]:
        node = traverser.process(node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node


def _to_regular_json(attribute: DynamoType) -> dict[str, Any]:
    """Copy a value once: moto copies all of it at each of its levels."""
    value = attribute.value
    if isinstance(value, dict):
        return {attribute.type: {key: _plain(nested) for key, nested in value.items()}}
    if isinstance(value, list):
        return {attribute.type: [_plain(nested) for nested in value]}
    if attribute.is_binary() and isinstance(value, str):
        return {attribute.type: base64.b64decode(value)}
    return {attribute.type: _plain(value)}


def _to_dict(value: Any) -> Any:
    """Do what moto does, but ask of a value what it is before asking what it is not."""
    kind = type(value)
    if kind is dict or kind is LimitedSizeDict:
        return {name: each if type(each) in ATOMS else _to_dict(each) for name, each in value.items()}
    if kind is list:
        return [each if type(each) in ATOMS else _to_dict(each) for each in value]
    if kind is DynamoType and value.type not in ("B", "BS"):
        return {value.type: _to_dict(value.value)}
    return value if kind in ATOMS else dynamo_to_dict(value)


def _plain(value: Any) -> Any:
    if isinstance(value, DynamoType):
        return value.to_regular_json()
    return value if type(value) in ATOMS else copy.deepcopy(value)
