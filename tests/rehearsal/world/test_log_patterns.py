import json

import pytest

from rehearsal.world.log_patterns import UnsupportedPattern, matcher_of

LINE = json.dumps({"level": "ERROR", "status": 500, "version": "5d6e7f8", "slow": True})


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", True),
        ('{ $.level = "ERROR" }', True),
        ('{$.level="ERROR"}', True),
        ('{ $.level = "error" }', False),
        ('{ $.level != "INFO" }', True),
        ("{ $.status = 500 }", True),
        ("{ $.status = 500.0 }", True),
        ("{ $.status != 500 }", False),
        ('{ $.status = "500" }', False),
        ('{ $.level = "ERROR" && $.version = "5d6e7f8" }', True),
        ('{ $.level = "ERROR" && $.version = "1a2b3c4" }', False),
        ('{ $.level = "INFO" || $.version = "5d6e7f8" }', True),
        ('{ $.level = "ERROR" || $.level = "INFO" && $.version = "1a2b3c4" }', True),
        ('{ ($.level = "ERROR" || $.level = "INFO") && $.version = "1a2b3c4" }', False),
        ('{ $.nothing = "ERROR" }', False),
        ('{ $.nothing != "ERROR" }', False),
        ("{ $.slow != 1 }", False),
    ],
)
def test_the_part_of_the_language_that_functions_use(pattern: str, expected: bool) -> None:  # noqa: FBT001  parameter
    assert expected is matcher_of(pattern)(LINE)


@pytest.mark.parametrize("message", ["Traceback (most recent call last):", "[]", '"ERROR"', "{"])
def test_what_is_no_json_object_does_not_match(message: str) -> None:
    assert not matcher_of('{ $.level = "ERROR" }')(message)


@pytest.mark.parametrize(
    "pattern",
    [
        "ERROR",
        '"ERROR"',
        "[level, status]",
        "{ }",
        "{ $.level = ERROR }",
        '{ $.level = "ERR*" }',
        "{ $.status = 5* }",
        "{ $.status >= 500 }",
        "{ $.slow IS TRUE }",
        "{ $.level NOT EXISTS }",
        '{ $.request.path = "/" }',
        '{ $.levels[0] = "ERROR" }',
        "{ $.level = %ERR% }",
        '{ $.level = "ERROR" & $.status = 500 }',
        '{ $.level = "ERROR" $.status = 500 }',
        '{ ($.level = "ERROR" }',
        '{ $.level = "ERROR" ) }',
        '{ $.level "ERROR" }',
    ],
)
def test_anything_else_is_refused_rather_than_guessed(pattern: str) -> None:
    """Moto takes such patterns for "everything", and a judge would find errors that nobody made."""
    with pytest.raises(UnsupportedPattern):
        matcher_of(pattern)
