"""A table of the lake follows its contract where that only adds, and keeps what it has where it would lose."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from ronghe.cli import migrate
from ronghe.contracts import Catalogue, catalogue
from ronghe.contracts.ddl import raw_table, schema_ddl
from ronghe.contracts.evolution import EvolutionRefused
from ronghe.contracts.shape import FORMAT
from ronghe.contracts.table import Table
from ronghe.home import Home
from ronghe.job import JobFailed
from ronghe.lake import Lake

pytestmark = pytest.mark.spark

NAME = "fused.place"
NOW = catalogue()
ROW = {"place_kind_code": "bus_stop", "source_code": "a", "longitude": 114.0, "latitude": 22.5, "code_count": 1}


def declared(table: Table, version: str = "1.1.0") -> Catalogue:
    return replace(NOW, tables={**NOW.tables, table.id: table.model_copy(update={"version": version})})


def changed(name: str, **values: Any) -> Catalogue:
    table = NOW.table(NAME)
    columns = [c.model_copy(update=values) if c.name == name else c for c in table.columns]
    return declared(table.model_copy(update={"columns": tuple(columns)}))


def with_column(table: Table, like: str, name: str, **values: Any) -> Table:
    """The table with a further column, like one of its others."""
    column = table.column(like).model_copy(update={"name": name, **values})
    return table.model_copy(update={"columns": (*table.columns, column)})


def without(*names: str) -> Catalogue:
    table = NOW.table(NAME)
    columns = tuple(c for c in table.columns if c.name not in names)
    return declared(table.model_copy(update={"columns": columns}), "0.9.0")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path).make()


def write(home: Home, spark: SparkSession, known: Catalogue, place_id: str, **values: Any) -> Lake:
    lake, table = Lake(home, known, spark), known.table(NAME)
    row = {**ROW, "place_id": place_id, **values}
    frame = spark.createDataFrame([tuple(row.get(c.name) for c in table.columns)], schema_ddl(table))
    lake.append(NAME, frame, place_id)
    return lake


def test_a_column_that_was_added_is_added_to_the_table(home: Home, spark: SparkSession) -> None:
    older = write(home, spark, without("place_name"), "old")
    before = older.version(NAME)
    reader = Lake(home, NOW, spark)
    # A reader sees the contract as it is now, before anybody has written.
    assert [row["place_name"] for row in reader.read(NAME).collect()] == [None]
    assert reader.rows(NAME, ["place_name", "place_id"]).to_pylist() == [{"place_name": None, "place_id": "old"}]
    assert [str(change) for change in reader.evolve(NAME, only_look=True)] == ["column place_name was added"]
    reader.evolve(NAME)
    assert reader.version(NAME) == before, "rows did not change"
    lake = write(home, spark, NOW, "new", place_name="y")
    found = {row["place_id"]: row["place_name"] for row in lake.rows(NAME).to_pylist()}
    assert found == {"old": None, "new": "y"}
    assert lake.evolve(NAME) == ()


@pytest.mark.parametrize(
    ("filled_from", "physical_type", "condition"),
    [
        ("no_such_column", "STRING", "UNRESOLVED_COLUMN"),
        ("SELEC ((", "STRING", "PARSE_SYNTAX_ERROR"),
        ("max(place_id)", "STRING", "INVALID_WHERE_CONDITION"),
        ("place_id", "INT", "CAST_INVALID_INPUT"),
        ("code_count * 9223372036854775807", "BIGINT", "ARITHMETIC_OVERFLOW"),
        ("coalesce(code_count, 0) + 3000000000", "INT", "CAST_OVERFLOW"),
    ],
)
def test_a_fill_that_cannot_be_worked_out_is_refused_and_nothing_is_changed(
    filled_from: str, physical_type: str, condition: str, home: Home, spark: SparkSession
) -> None:
    version = DeltaTable(write(home, spark, NOW, "old", code_count=2).path(NAME)).version()
    wanted = with_column(NOW.table(NAME), "place_name", "other", physical_type=physical_type, filled_from=filled_from)
    with pytest.raises(EvolutionRefused, match=rf"column other cannot be worked .*\({condition}") as error:
        Lake(home, declared(wanted), spark).evolve(NAME)
    assert "'old'" not in str(error.value)
    assert DeltaTable(Lake(home, NOW).path(NAME)).version() == version


def test_a_grade_that_fell_is_announced_and_kept(home: Home, spark: SparkSession) -> None:
    write(home, spark, changed("place_name", classification="L3"), "old")
    with pytest.raises(EvolutionRefused, match=r"place_name of grade L3 became L1: .* Raise it to 2\.0\.0"):
        Lake(home, declared(NOW.table(NAME), "1.2.0"), spark).evolve(NAME)
    told = Lake(home, declared(NOW.table(NAME), "2.0.0"), spark).evolve(NAME)
    assert [change.column for change in told] == ["place_name"]
    assert Lake(home, declared(NOW.table(NAME), "2.0.0"), spark).evolve(NAME) == ()


def test_statements_of_a_table_that_is_up_to_date_are_none(home: Home, spark: SparkSession) -> None:
    write(home, spark, NOW, "one")
    version = DeltaTable(Lake(home, NOW).path(NAME)).version()
    Lake(home, NOW, spark).evolve(NAME)
    assert DeltaTable(Lake(home, NOW).path(NAME)).version() == version


def test_what_became_optional_may_be_empty(home: Home, spark: SparkSession) -> None:
    write(home, spark, NOW, "old")
    lake = write(home, spark, changed("code_count", required=False), "new", code_count=None)
    assert {row["place_id"] for row in lake.rows(NAME).to_pylist()} == {"old", "new"}


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (without("place_name"), "column place_name was dropped or renamed"),
        (changed("code_count", physical_type="STRING"), "column code_count of type .* became STRING"),
        (changed("longitude", unit="rad"), "column longitude of unit deg became rad"),
    ],
)
def test_what_would_lose_or_reinterpret_rows_is_refused(
    known: Catalogue, said: str, home: Home, spark: SparkSession
) -> None:
    write(home, spark, NOW, "old")
    with pytest.raises(EvolutionRefused, match=said):
        write(home, spark, known, "new", longitude=1.0)
    assert [row["place_id"] for row in Lake(home, NOW).rows(NAME).to_pylist()] == ["old"]


def test_limits_follow_the_contract_if_the_rows_keep_them(home: Home, spark: SparkSession) -> None:
    options = NOW.table(NAME).column("longitude").options
    wide, narrow = (options.model_copy(update={"maximum": limit}) for limit in (180, 100))
    write(home, spark, NOW, "old")
    before = DeltaTable(Lake(home, NOW).path(NAME)).version()
    [told] = Lake(home, changed("longitude", options=narrow)).evolve(NAME, only_look=True)
    assert str(told).startswith("limit longitude_range is set anew")
    with pytest.raises(EvolutionRefused, match="longitude_range was narrowed, and 1 rows written before break it"):
        write(home, spark, changed("longitude", options=narrow), "east", longitude=90.0)
    assert DeltaTable(Lake(home, NOW).path(NAME)).version() == before, "a limit was dropped"
    with pytest.raises((PySparkException, Py4JJavaError), match=r"(?i)constraint|CHECK"):
        write(home, spark, changed("longitude", options=wide), "west", longitude=190.0)
    wider = changed("longitude", options=wide.model_copy(update={"maximum": 200})).table(NAME)
    lake = write(home, spark, declared(wider, "1.2.0"), "far", longitude=190.0)
    assert lake.size(NAME)[0] == 2
    # Delta keeps a constraint that was added in other words than one the table was made with.
    before = DeltaTable(lake.path(NAME)).version()
    assert lake.evolve(NAME) == ()
    assert DeltaTable(lake.path(NAME)).version() == before, "the same limit was set again"


def test_a_lake_of_an_older_ronghe_is_brought_up_and_a_newer_one_refused(home: Home, spark: SparkSession) -> None:
    known = without("place_name")
    write(home, spark, known, "old")
    where = f"ALTER TABLE delta.`{Lake(home, NOW).path(NAME)}`"
    spark.sql(f"{where} UNSET TBLPROPERTIES ('ronghe.format', 'ronghe.shape')").collect()
    lake = write(home, spark, NOW, "new", place_name="y")
    assert lake.size(NAME)[0] == 2
    assert DeltaTable(lake.path(NAME)).metadata().configuration["ronghe.format"] == str(FORMAT)
    spark.sql(f"{where} SET TBLPROPERTIES ('ronghe.format' = '99')").collect()
    for use in (lambda: lake.read(NAME), lambda: lake.rows(NAME), lambda: lake.version(NAME)):
        with pytest.raises(EvolutionRefused, match="format 99"):
            use()


def test_a_column_gets_another_type_by_a_plan_and_the_old_one_stays(home: Home, spark: SparkSession) -> None:
    """`code_count` becomes text under a new name: read so before the table was touched, then filled, then kept up."""
    write(home, spark, NOW, "old", code_count=3)
    values = {"physical_type": "STRING", "required": False, "filled_from": "concat('n', code_count)"}
    known = declared(with_column(NOW.table(NAME), "code_count", "code_label", **values))
    reader = Lake(home, known, spark)
    assert [row["code_label"] for row in reader.read(NAME).collect()] == ["n3"]
    with pytest.raises(EvolutionRefused, match="code_label is not filled yet"):
        reader.rows(NAME)
    write(home, spark, known, "new", code_count=4)
    lake = write(home, spark, known, "own", code_count=5, code_label="five")
    found = {row["place_id"]: (row["code_count"], row["code_label"]) for row in lake.rows(NAME).to_pylist()}
    assert found == {"old": (3, "n3"), "new": (4, "n4"), "own": (5, "five")}


def test_a_plan_that_was_cut_off_is_taken_up(home: Home, spark: SparkSession) -> None:
    write(home, spark, NOW, "old", code_count=3)
    values = {"physical_type": "STRING", "required": False, "filled_from": "concat('n', code_count)"}
    known = declared(with_column(NOW.table(NAME), "code_count", "code_label", **values))
    lake = Lake(home, known, spark)
    spark.sql(f"ALTER TABLE delta.`{lake.path(NAME)}` ADD COLUMNS (code_label STRING)").collect()
    lake.evolve(NAME)
    assert [row["code_label"] for row in lake.rows(NAME).to_pylist()] == ["n3"]


def test_migrate_tells_where_a_plan_fails_and_no_value(
    home: Home, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(home, spark, NOW, "old", place_name="13812345678号")
    values = {"physical_type": "INT", "required": False, "filled_from": "place_name"}
    known = declared(with_column(NOW.table(NAME), "code_count", "place_number", **values))
    monkeypatch.setattr(migrate, "catalogue", lambda: known)
    monkeypatch.setattr(migrate.sessions, "on_engine", lambda *_: nullcontext(spark))
    assert not migrate.bring_up(home, only_look=False)
    said = " ".join(capsys.readouterr())
    assert "! fused.place: column place_number cannot be worked out" in said
    assert "138" not in said


def test_migrate_goes_on_after_a_table_that_fails_and_tells_no_value(
    home: Home, spark: SparkSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("13812345678")

    write(home, spark, NOW, "old")
    monkeypatch.setattr(migrate.sessions, "on_engine", lambda *_: nullcontext(spark))
    monkeypatch.setattr(migrate.Lake, "evolve", fails)
    monkeypatch.setattr(migrate, "_engine_answers", lambda _: True)
    assert not migrate.bring_up(home, only_look=False)
    said = " ".join(capsys.readouterr())
    assert "! fused.place: migrate failed: ValueError" in said
    assert "0 tables changed, 1 refused" in said
    assert "138" not in said
    monkeypatch.setattr(migrate, "_engine_answers", lambda _: False)
    with pytest.raises(JobFailed):
        migrate.bring_up(home, only_look=False)


def test_a_contract_that_changed_without_saying_so_is_refused(home: Home, spark: SparkSession) -> None:
    write(home, spark, NOW, "old")
    known = declared(with_column(NOW.table(NAME), "place_name", "other_name"), NOW.table(NAME).version)
    with pytest.raises(EvolutionRefused, match=r"other_name was added.*from 1\.0\.0 to 1\.0\.0\. Raise it to 1\.1\.0"):
        write(home, spark, known, "new")


def test_a_source_that_delivers_or_may_deliver_a_column_no_longer(home: Home, spark: SparkSession) -> None:
    """Records as read keep a column that is gone; one that is refused since is emptied, in every version."""
    feed = NOW.feed("shenzhen.swipe")
    raw, (gone, other) = feed.raw_table, feed.column_names[-2:]
    frame = spark.createDataFrame(
        [("d1", 1, "4.00", "20240301")], f"delivery_id STRING, record_number BIGINT, `{gone}` STRING, `{other}` STRING"
    )
    frame = frame.selectExpr("*", "CAST(NULL AS STRING) AS defect", *(f"'x' AS `{n}`" for n in feed.column_names[:-2]))
    lake = Lake(home, NOW, spark)
    lake.append(raw, frame, "old")
    held = spark.createDataFrame(
        [("d1", 2, feed.id, "code:swipe_kind_code", json.dumps({gone: "5.00", other: "20240302"}))],
        "delivery_id STRING, record_number BIGINT, feed_id STRING, reasons STRING, record STRING",
    )
    empty = ("other_delivery_id", "CAST(NULL AS STRING)"), ("other_record_number", "CAST(NULL AS BIGINT)")
    lake.append("meta.quarantine", held.selectExpr("*", *(f"{value} AS {name}" for name, value in empty)), "held")
    first = DeltaTable(Lake(home, NOW).path(raw)).version()
    for version, refuse in (("1.1.0", ()), ("1.2.0", (other,))):
        kept = tuple(c for c in feed.columns if c.name not in {gone, *refuse})
        newer = feed.model_copy(update={"columns": kept, "refuse": refuse, "version": version})
        known = replace(NOW, feeds={**NOW.feeds, feed.id: newer}, tables={**NOW.tables, raw: raw_table(newer)})
        Lake(home, known, spark).evolve(raw)
    [row] = DeltaTable(Lake(home, NOW).path(raw)).to_pyarrow_table().to_pylist()
    assert (row[gone], row[other]) == ("4.00", None)
    path = Lake(home, NOW).path(raw)
    with pytest.raises((PySparkException, Py4JJavaError), match=r"FILE_NOT_EXIST|does not exist|not found"):
        spark.read.format("delta").option("versionAsOf", first).load(path).select(other).collect()
    assert not any("20240301" in file.read_bytes().decode("latin-1") for file in Path(path).rglob("*.json"))
    [line] = lake.rows("meta.quarantine").to_pylist()
    assert json.loads(line["record"]) == {gone: "5.00"}, "quarantine keeps what is not refused"
    left = b"".join(file.read_bytes() for file in Path(lake.path("meta.quarantine")).rglob("*.parquet"))
    assert b"20240302" not in left


def test_a_column_that_was_delivered_no_longer_before_it_is_refused_is_emptied_too(
    home: Home, spark: SparkSession
) -> None:
    feed = NOW.feed("shenzhen.swipe")
    raw, gone = feed.raw_table, feed.column_names[-1]
    frame = spark.createDataFrame([("d1", 1, "20240301")], f"delivery_id STRING, record_number BIGINT, `{gone}` STRING")
    frame = frame.selectExpr("*", "CAST(NULL AS STRING) AS defect", *(f"'x' AS `{n}`" for n in feed.column_names[:-1]))
    Lake(home, NOW, spark).append(raw, frame, "old")
    kept = tuple(c for c in feed.columns if c.name != gone)
    versions = []
    for version, refuse in (("1.1.0", ()), ("1.2.0", (gone,)), ("1.2.0", (gone,))):
        newer = feed.model_copy(update={"columns": kept, "refuse": refuse, "version": version})
        known = replace(NOW, feeds={**NOW.feeds, feed.id: newer}, tables={**NOW.tables, raw: raw_table(newer)})
        Lake(home, known, spark).evolve(raw)
        table = DeltaTable(Lake(home, NOW).path(raw))
        versions.append((table.version(), table.to_pyarrow_table().to_pylist()[0][gone]))
    assert [value for _, value in versions] == ["20240301", None, None]
    assert versions[1][0] == versions[2][0], "what is empty is not emptied again"


def test_columns_are_what_this_test_takes_them_for() -> None:
    assert NOW.table(NAME).column("code_count").required
    assert not NOW.table(NAME).column("place_name").required
