# ruff: noqa: S608  the SQL is all ours
"""What a restore loses, counted between two real databases, of which one has gone on."""

import json
from collections import Counter
from typing import Any

import boto3
import pytest
from pg8000.native import Connection

from lambdas.database.data_rules import ComparedTable
from lambdas.database.exports import Export
from lambdas.database.lost_writes import LostWrites
from lambdas.database.lost_writes_rules import Cursor, Limits, Lost, Unaccounted
from lambdas.database.tables import Tables
from lambdas.database.unaccounted import Others, unaccounted
from lambdas.errors import QueryFailed
from tests.unit.database.sql.conftest import asking

pytestmark = pytest.mark.rehearsed

BUCKET = "exports"
Both = tuple[Connection, Connection]

EVERYTHING = """
    CREATE TYPE kind AS ENUM ('paper', 'photo');
    CREATE TABLE receipts (
        id bigint PRIMARY KEY, title text, amount numeric(12, 2), "Odd:name" real, double float8, at timestamptz,
        day date, doc jsonb, raw json, photo bytea, tags text[], kind kind, ok boolean, span interval, address inet,
        range int4range, fixed char(5), doubled bigint GENERATED ALWAYS AS (id * 2) STORED
    );
    INSERT INTO receipts SELECT i, 'receipt ' || i, i * 1.37, i / 3.0, i / 7.0::float8,
        'epoch'::timestamptz + i * '1s'::interval, '2026-01-01'::date + i,
        jsonb_build_object('b', i, 'a', ARRAY[1, NULL]), E'{"x":\\n 1}', decode(md5(i::text), 'hex'),
        ARRAY['a', NULL, ''], 'paper', i % 2 = 0, '1 day'::interval * i, '10.0.0.1', int4range(1, i + 1), 'ab'
    FROM generate_series(1, 300) i;
    INSERT INTO receipts (id, amount, "Odd:name", double, title) VALUES
        (1001, 'NaN', 'NaN', '-Infinity', NULL), (1002, NULL, '-0', 'Infinity', ''),
        (1003, 0, 0, 1e-300, E'\\\\ "quoted"\\n,()');
"""


@pytest.fixture
def bucket() -> Any:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    return s3


def exported(bucket: Any) -> list[dict[str, Any]]:
    keys = [each["Key"] for each in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    texts = [bucket.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() for key in sorted(keys)]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def in_both(both: Both, sql: str) -> None:
    for connection in both:
        connection.run(sql)


def count(both: Both, bucket: Any, *tables: ComparedTable, limits: Limits | None = None) -> Cursor:
    """Count all of it, as often as it takes, handing the cursor on as text."""
    for connection in both:
        connection.run("ANALYZE")
    sides = [Tables(asking(connection)) for connection in both]
    cursor, rounds = Cursor(), 0
    while cursor.table < len(tables):
        export = Export(bucket, BUCKET, "r-1", cursor.part)
        counted = LostWrites(sides[0], sides[1], export, limits or Limits()).count(tables, cursor)
        cursor = Cursor.from_event(json.loads(json.dumps(counted.as_event())))
        rounds += 1
        assert rounds < 100
    return cursor


RECEIPTS = ComparedTable("receipts", ("id",))


def test_equal_tables_have_lost_nothing(both: Both, bucket: Any) -> None:
    """Of every type, with NULL, NaN, infinity and empty texts, and with servers that show values differently."""
    in_both(both, EVERYTHING)
    both[0].run("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET bytea_output = 'escape'")
    both[0].run("UPDATE receipts SET title = title WHERE id < 100")  # other places in the file, same content
    cursor = count(both, bucket, RECEIPTS)
    assert cursor.lost == {"public.receipts": Lost()}
    assert cursor.not_compared == {}
    assert exported(bucket) == []


@pytest.mark.parametrize(
    "change",
    [
        "title = NULL WHERE id = 1002",
        "amount = 0 WHERE id = 1001",
        '"Odd:name" = 1 WHERE id = 7',
        "double = double + 1e-15 WHERE id = 6",
        "at = at + '1 microsecond'::interval WHERE id = 7",
        "doc = doc || '{\"a\": null}' WHERE id = 7",
        "photo = photo || '\\x00' WHERE id = 7",
        "tags = ARRAY['a', '', NULL] WHERE id = 7",
        "kind = 'photo' WHERE id = 300",
        "span = span + '1 microsecond'::interval WHERE id = 7",
    ],
)
def test_smallest_change_is_found(both: Both, bucket: Any, change: str) -> None:
    in_both(both, EVERYTHING)
    both[0].run(f"UPDATE receipts SET {change}")
    assert count(both, bucket, RECEIPTS).lost == {"public.receipts": Lost(changed=1)}


def test_export_has_what_is_there_now_and_of_the_deleted_what_was(both: Both, bucket: Any) -> None:
    in_both(both, EVERYTHING)
    both[0].run("INSERT INTO receipts (id, title, raw, amount) VALUES (5000, 'new', E'{\"x\":\\n1}', 12.30)")
    both[0].run("UPDATE receipts SET title = 'now' WHERE id = 17; DELETE FROM receipts WHERE id IN (18, 1)")
    cursor = count(both, bucket, RECEIPTS)
    assert cursor.lost == {"public.receipts": Lost(inserted=1, changed=1, deleted=2)}
    lines = {(line["change"], line["key"]["id"]): line for line in exported(bucket)}
    assert set(lines) == {("inserted", 5000), ("changed", 17), ("deleted", 1), ("deleted", 18)}
    assert lines["changed", 17]["row"]["title"] == "now"
    assert lines["deleted", 18]["row"]["title"] == "receipt 18"
    assert lines["deleted", 18]["row"]["photo"].startswith("\\x")
    assert lines["inserted", 5000] == {
        "table": "public.receipts",
        "change": "inserted",
        "key": {"id": 5000},
        "row": {
            **dict.fromkeys(lines["deleted", 1]["row"]),
            "id": 5000,
            "title": "new",
            "raw": {"x": 1},
            "amount": 12.3,
            "doubled": 10000,
        },
    }


@pytest.mark.parametrize(
    ("columns", "key", "value"),
    [
        ("id bigint", ("id",), "i - 400"),
        ("id uuid", ("id",), "md5(i::text)::uuid"),
        ("id text", ("id",), "CASE i % 4 WHEN 0 THEN 'A' WHEN 1 THEN 'a' WHEN 2 THEN 'ä' ELSE '-' END || i"),
        ("id varchar(30)", ("id",), "CASE i % 3 WHEN 0 THEN 'B ' WHEN 1 THEN 'a' ELSE 'Ä''\\:x ' END || i"),
        ("id char(9)", ("id",), "'k' || i"),
        ("id numeric", ("id",), "i / 10.0"),
        ("id timestamptz", ("id",), "'epoch'::timestamptz + i * '1.000001 s'::interval"),
        ("a int, b text", ("a", "b"), "i / 50, 'b' || i"),
        ("b text, a int", ("b", "a"), "'b' || i / 50, i"),
    ],
)
def test_every_kind_of_key_pairs_rows_in_many_small_stretches(
    both: Both, bucket: Any, columns: str, key: tuple[str, ...], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With inserts, changes and deletions everywhere, whole stretches of one side missing, and one invocation each."""
    monkeypatch.setattr("lambdas.database.lost_writes_rules._FEWEST_ROWS_OF_STRETCH", 1)
    monkeypatch.setattr("lambdas.database.lost_writes_rules._MOST_ROWS_OF_STRETCH", 60)
    listed = ", ".join(key)
    in_both(both, f"CREATE TABLE t ({columns}, n int, PRIMARY KEY ({listed}))")
    in_both(both, f"INSERT INTO t SELECT {value}, i FROM generate_series(1, 1000) i")
    both[0].run("DELETE FROM t WHERE n BETWEEN 300 AND 560 OR n % 97 = 0; UPDATE t SET n = -n WHERE n % 53 = 0")
    both[0].run(f"INSERT INTO t SELECT {value}, i FROM generate_series(1001, 1200) i")
    cursor = count(both, bucket, ComparedTable("public.t", key), limits=Limits(100, 1000))
    gone = sum(300 <= n <= 560 or n % 97 == 0 for n in range(1, 1001))
    changed = sum(n % 53 == 0 and not (300 <= n <= 560 or n % 97 == 0) for n in range(1, 1001))
    assert cursor.lost == {"public.t": Lost(200, changed, gone)}
    lines = exported(bucket)
    assert Counter(line["change"] for line in lines) == {"inserted": 200, "changed": changed, "deleted": gone}
    assert len({json.dumps(line["key"]) for line in lines}) == len(lines)


def test_table_that_was_emptied_is_bounded_work_too(both: Both, bucket: Any) -> None:
    """The very deletion for which somebody restores."""
    in_both(both, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 5000)")
    both[0].run("TRUNCATE t")
    sides = [Tables(asking(connection)) for connection in both]
    export = Export(bucket, BUCKET, "r-1")
    counted = LostWrites(sides[0], sides[1], export, Limits(1000, 1000)).count([ComparedTable("t", ("id",))], Cursor())
    assert counted.lost["public.t"].deleted <= 5000
    assert count(both, bucket, ComparedTable("t", ("id",))).lost == {"public.t": Lost(deleted=5000)}


def test_repeated_invocation_writes_the_same_parts(both: Both, bucket: Any) -> None:
    in_both(both, EVERYTHING)
    both[0].run("UPDATE receipts SET title = 'now'")
    count(both, bucket, RECEIPTS)
    first = exported(bucket)
    count(both, bucket, RECEIPTS)
    assert first == exported(bucket)
    assert len(first) == 303


def test_table_that_a_migration_changed_is_compared_by_what_both_have(both: Both, bucket: Any) -> None:
    in_both(both, "CREATE TABLE t (id int PRIMARY KEY, name varchar(20), price numeric(8, 2), old int, note int)")
    in_both(both, "INSERT INTO t SELECT i, 'n' || i, i, i, i FROM generate_series(1, 50) i")
    both[0].run("ALTER TABLE t ADD fresh int DEFAULT 7; ALTER TABLE t DROP old; ALTER TABLE t ALTER note TYPE text")
    both[0].run("ALTER TABLE t ALTER name TYPE text; ALTER TABLE t ALTER price TYPE numeric(10, 4)")
    both[0].run("UPDATE t SET name = 'other' WHERE id = 3")
    cursor = count(both, bucket, ComparedTable("t", ("id",)))
    assert cursor.lost == {"public.t": Lost(changed=1)}
    assert cursor.not_compared == {"public.t": ("fresh", "note", "old", "price")}
    assert exported(bucket)[0]["row"]["fresh"] == 7


def test_table_that_a_release_made_has_lost_all(both: Both, bucket: Any) -> None:
    both[0].run("CREATE TABLE made (id int PRIMARY KEY); INSERT INTO made VALUES (1), (2)")
    assert count(both, bucket, ComparedTable("made", ("id",))).lost == {"public.made": Lost(inserted=2)}


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("CREATE TABLE t (id int)", "has no unique key of id without NULL on both instances"),
        ("CREATE TABLE t (id int UNIQUE)", "has no unique key of id without NULL on both instances"),
        ("CREATE TABLE t (id int PRIMARY KEY, b int); CREATE UNIQUE INDEX ON t (b)", ""),
        ("CREATE TABLE t (id int NOT NULL, b int); CREATE UNIQUE INDEX ON t (id) WHERE b > 0", "has no unique key"),
    ],
)
def test_rows_that_cannot_be_told_apart_are_not_compared(both: Both, bucket: Any, sql: str, problem: str) -> None:
    in_both(both, sql)
    found = count(both, bucket, ComparedTable("t", ("id",))).problems.get("public.t", "")
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_rows_that_are_hidden_are_an_error(both: Both) -> None:
    """A policy that filters rows would make what is lost look less."""
    both[0].run("CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    both[0].run("INSERT INTO t VALUES (1); CREATE POLICY none ON t USING (id > 9)")
    both[0].run("ALTER TABLE t FORCE ROW LEVEL SECURITY")
    with pytest.raises(QueryFailed, match=r"SQLSTATE 42501\. Grant the user"):
        Tables(asking(both[0])).whole("public.t", ["id"])


def test_table_that_nobody_has_is_a_problem(both: Both, bucket: Any) -> None:
    assert count(both, bucket, RECEIPTS).problems == {"public.receipts": "is in settings, but neither instance has it"}


def test_partitioned_table_is_one_table(both: Both, bucket: Any) -> None:
    in_both(both, "CREATE TABLE t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id)")
    in_both(both, "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    in_both(
        both, "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20); INSERT INTO t SELECT generate_series(1, 19)"
    )
    both[0].run("UPDATE t SET n = 1 WHERE id IN (9, 10)")
    assert count(both, bucket, ComparedTable("t", ("id",))).lost == {"public.t": Lost(changed=2)}


def test_cursor_holds_no_key(both: Both, bucket: Any) -> None:
    """It goes through the history of an execution, and a key can be an e-mail address."""
    in_both(both, "CREATE TABLE t (id text PRIMARY KEY)")
    in_both(both, "INSERT INTO t SELECT 'canary' || i FROM generate_series(1, 500) i")
    both[0].run("DELETE FROM t WHERE id LIKE '%9'")
    sides = [Tables(asking(connection)) for connection in both]
    counting = LostWrites(sides[0], sides[1], Export(bucket, BUCKET, "r-1"), Limits(100, 100))
    assert "canary" not in json.dumps(counting.count([ComparedTable("t", ("id",))], Cursor()).as_event())


def left_over(both: Both, *tables: ComparedTable) -> dict[str, Unaccounted]:
    for connection in both:
        connection.run("ANALYZE")
    forward, restored = (Others(asking(connection)) for connection in both)
    return {each.table: each for each in unaccounted(forward, restored, tables, Cursor())}


def test_whatever_settings_leave_out_is_named(both: Both) -> None:
    """With whether it differs, where that is cheap to say."""
    in_both(both, "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE equal (a int); CREATE TABLE log (a int)")
    in_both(both, "CREATE SCHEMA audit; CREATE TABLE audit.large (a text); INSERT INTO log VALUES (1), (1)")
    in_both(both, "INSERT INTO audit.large SELECT repeat('x', 1000) FROM generate_series(1, 12000)")
    in_both(both, "CREATE TABLE parts (a int) PARTITION BY LIST (a); CREATE TABLE part PARTITION OF parts DEFAULT")
    both[0].run("INSERT INTO log VALUES (2); CREATE TABLE made (a int); CREATE TEMP TABLE mine (a int)")
    both[0].run("INSERT INTO parts VALUES (1)")
    assert left_over(both, ComparedTable("t", ("id",))) == {
        "audit.large": Unaccounted("audit.large", 12000, "is not in settings", None),
        "public.equal": Unaccounted("public.equal", 0, "is not in settings", differs=False),
        "public.log": Unaccounted("public.log", 3, "is not in settings", differs=True),
        "public.made": Unaccounted("public.made", 0, "is not in settings", differs=True),
        "public.parts": Unaccounted("public.parts", 1, "is not in settings", differs=True),
    }


def test_large_objects_are_counted(both: Both) -> None:
    assert left_over(both) == {}
    in_both(both, "SELECT lo_from_bytea(4711, 'content')")
    assert left_over(both) == {"large objects": Unaccounted("large objects", 1, "are no rows of a table", None)}
    both[0].run("SELECT lo_from_bytea(0, 'content')")
    assert left_over(both)["large objects"] == Unaccounted("large objects", 2, "are no rows of a table", differs=True)


def test_table_that_could_not_be_compared_says_why(both: Both) -> None:
    in_both(both, "CREATE TABLE t (id int)")
    for connection in both:
        connection.run("ANALYZE")
    forward, restored = (Others(asking(connection)) for connection in both)
    cursor = Cursor(problems={"public.t": "has no unique key of id"})
    (found,) = unaccounted(forward, restored, [ComparedTable("t", ("id",))], cursor)
    assert found == Unaccounted("public.t", 0, "has no unique key of id", differs=False)


def test_columns_that_cannot_be_compared_are_not_accounted_for(both: Both) -> None:
    """What users wrote to a new column of an old row is nowhere else."""
    in_both(both, "CREATE TABLE t (id int PRIMARY KEY)")
    forward, restored = (Others(asking(connection)) for connection in both)
    cursor = Cursor(not_compared={"public.t": ("fresh", "price")})
    (found,) = unaccounted(forward, restored, [ComparedTable("t", ("id",))], cursor)
    assert found.differs is None
    assert found.why.endswith("fresh, price")
