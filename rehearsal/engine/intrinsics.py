"""CloudFormation's intrinsic functions, as far as CDK writes them; any other is an error that names it."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Names = Callable[[str], Any]
Attributes = Callable[[str, str], Any]

KNOWN = {"Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::If"}
KNOWN |= {"Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not"}
PLACEHOLDER = re.compile(r"\$\{(?P<literal>!)?(?P<name>[^}]+)\}")


class UnknownIntrinsic(Exception):
    """The template computes a value in a way that the rehearsal does not know."""


class Intrinsics:
    """
    Replaces intrinsic functions by their values, at any depth.

    `ref` and `attribute` say what a logical id stands for; `conditions` are the template's own, unevaluated.
    """

    def __init__(self, ref: Names, attribute: Attributes, conditions: Mapping[str, Any], no_value: object) -> None:
        self._ref = ref
        self._attribute = attribute
        self._conditions = conditions
        self._no_value = no_value

    def resolve(self, value: Any) -> Any:
        """Compute everything in a value; AWS::NoValue leaves its list or mapping."""
        if isinstance(value, list):
            resolved = [self.resolve(item) for item in value]
            return [item for item in resolved if item is not self._no_value]
        if not isinstance(value, dict):
            return value
        if is_intrinsic(value):
            [(name, argument)] = value.items()
            return self._compute(name, argument)
        pairs = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in pairs.items() if item is not self._no_value}

    def holds(self, condition: Any) -> bool:
        """Whether a condition is met; a name stands for one of the template's."""
        if isinstance(condition, str):
            return self.holds(self._conditions[condition])
        [(name, argument)] = condition.items()
        match name:
            case "Condition":
                return self.holds(argument)
            case "Fn::Equals":
                left, right = self.resolve(argument)
                return bool(left == right)
            case "Fn::And":
                return all(map(self.holds, argument))
            case "Fn::Or":
                return any(map(self.holds, argument))
            case "Fn::Not":
                return not self.holds(argument[0])
            case _:
                raise UnknownIntrinsic(name)

    def _compute(self, name: str, argument: Any) -> Any:  # noqa: PLR0911  one for each function
        match name:
            case "Ref":
                return self._ref(argument)
            case "Fn::GetAtt":
                logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
                return self._attribute(logical_id, attribute)
            case "Fn::Sub":
                return self._substitute(argument)
            case "Fn::Join":
                separator, parts = argument
                return separator.join(str(part) for part in self.resolve(parts))
            case "Fn::Select":
                index, options = argument
                return self.resolve(options)[int(self.resolve(index))]
            case "Fn::Split":
                separator, text = argument
                return self.resolve(text).split(separator)
            case "Fn::If":
                condition, if_met, if_not = argument
                return self.resolve(if_met if self.holds(condition) else if_not)
            case _:
                raise UnknownIntrinsic(name)

    def _substitute(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def replace(placeholder: re.Match[str]) -> str:
            name = placeholder["name"]
            if placeholder["literal"]:
                return f"${{{name}}}"
            if name in own:
                return str(self.resolve(own[name]))
            return str(self._compute("Fn::GetAtt" if "." in name else "Ref", name))

        return PLACEHOLDER.sub(replace, text)


def is_intrinsic(value: dict[str, Any]) -> bool:
    """`Condition` alone is no marker: IAM statements have a key of that name."""
    [*names] = value
    return len(names) == 1 and (names[0] == "Ref" or names[0].startswith("Fn::"))


def unknown_intrinsics(value: Any) -> set[str]:
    """Names of the intrinsic functions in a value that the rehearsal cannot compute."""
    own = set(value) - KNOWN if isinstance(value, dict) and is_intrinsic(value) else set()
    return own.union(*map(unknown_intrinsics, _inside(value)))


def references(value: Any) -> set[str]:
    """The logical ids (and pseudo parameters) that a value is made from."""
    if not (isinstance(value, dict) and is_intrinsic(value)):
        return set().union(*map(references, _inside(value)))
    [(name, argument)] = value.items()
    match name:
        case "Ref":
            return {argument}
        case "Fn::GetAtt":
            return {argument.split(".")[0] if isinstance(argument, str) else argument[0]}
        case "Fn::Sub":
            text, own = (argument, {}) if isinstance(argument, str) else argument
            named = {p["name"].split(".")[0] for p in PLACEHOLDER.finditer(text) if not p["literal"]}
            return (named - set(own)) | references(own)
        case _:
            return references(argument)


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
