"""The lake through the engine: effects happen once, a part is a part, and everybody can read what was written."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from ronghe import merging
from ronghe.contracts import catalogue
from ronghe.contracts.ddl import create_table, schema_ddl
from ronghe.contracts.rules import literal
from ronghe.home import Home
from ronghe.lake import Lake, Part

pytestmark = pytest.mark.spark

FOUND = catalogue()
# Delta's own errors come as the first over Connect, as the second in a classic session.
REFUSED = (PySparkException, Py4JJavaError)
DUPLICATE, PLACE = "meta.duplicate", "fused.place"
STOP = {"place_kind_code": "bus_stop", "source_code": "a", "longitude": 114.0, "latitude": 22.5, "code_count": 1}


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    return Lake(Home(tmp_path).make(), FOUND, spark)


def frame(lake: Lake, table_id: str, rows: Sequence[dict[str, Any]]) -> DataFrame:
    columns = FOUND.table(table_id).column_names
    given = [tuple(row.get(name) for name in columns) for row in rows]
    return lake.spark.createDataFrame(given, schema_ddl(FOUND.table(table_id)))


def duplicates(lake: Lake, **numbers: Sequence[int]) -> DataFrame:
    """Rows of `meta.duplicate`: record numbers by delivery."""
    kept = {"feed_id": "a.b", "kept_delivery_id": "k", "kept_record_number": 1}
    rows = [{"delivery_id": d, "record_number": n, **kept} for d, found in numbers.items() for n in found]
    return frame(lake, DUPLICATE, rows)


def places(lake: Lake, **names: str) -> DataFrame:
    return frame(lake, PLACE, [{**STOP, "place_id": key, "place_name": name} for key, name in names.items()])


def numbers(lake: Lake) -> list[tuple[str, int]]:
    rows = lake.rows(DUPLICATE, ["delivery_id", "record_number"]).to_pylist()
    return sorted((row["delivery_id"], row["record_number"]) for row in rows)


def delta_version(lake: Lake, table_id: str) -> int:
    return DeltaTable(lake.path(table_id)).version()


def rows_changed(lake: Lake, table_id: str) -> dict[str, int]:
    """What the last merge did to the table's rows, as Delta counted it."""
    [commit] = DeltaTable(lake.path(table_id)).history(1)
    return {
        what: int(commit["operationMetrics"][f"numTargetRows{what}"]) for what in ("Inserted", "Updated", "Deleted")
    }


def test_declared_table_is_empty_when_it_was_not_written(lake: Lake) -> None:
    found = lake.read("std.swipe")
    assert found.columns == list(FOUND.table("std.swipe").column_names)
    assert found.dtypes == frame(lake, "std.swipe", []).dtypes
    assert found.count() == 0
    assert not lake.exists("std.swipe")


def test_equal_fingerprint_writes_once(lake: Lake) -> None:
    for write in (lake.append, lake.replace):
        fingerprint = f"of {write.__name__}"
        assert write(DUPLICATE, duplicates(lake, d1=[1, 2]), fingerprint)
        version, rows = delta_version(lake, DUPLICATE), numbers(lake)
        assert not write(DUPLICATE, duplicates(lake, d1=[1, 2]), fingerprint)
        assert not write(DUPLICATE, duplicates(lake, d9=[9]), fingerprint), "the fingerprint decides, not the rows"
        assert (delta_version(lake, DUPLICATE), numbers(lake)) == (version, rows)
        assert lake.is_done(DUPLICATE, fingerprint)
    assert numbers(lake) == [("d1", 1), ("d1", 2)], "the replacement took the appended rows' place"


def test_other_fingerprint_writes_again(lake: Lake) -> None:
    assert lake.append(DUPLICATE, duplicates(lake, d1=[1]), "first")
    assert lake.append(DUPLICATE, duplicates(lake, d1=[2]), "second")
    assert numbers(lake) == [("d1", 1), ("d1", 2)]
    assert not lake.append(DUPLICATE, duplicates(lake, d1=[1]), "first"), "an old write is still known"


def test_delta_itself_refuses_a_second_write_that_did_not_see_the_first(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append(DUPLICATE, duplicates(lake, d1=[1]), "first")
    monkeypatch.setattr(Lake, "is_done", lambda *_: False)
    lake.append(DUPLICATE, duplicates(lake, d1=[1]), "first")
    assert numbers(lake) == [("d1", 1)]


def test_replacing_a_part_keeps_the_other_rows(lake: Lake) -> None:
    lake.replace(DUPLICATE, duplicates(lake, d1=[1], d2=[1], d3=[1]), "all")
    lake.replace(DUPLICATE, duplicates(lake, d1=[7], d2=[8]), "part", Part("delivery_id", ("d1", "d2")))
    assert numbers(lake) == [("d1", 7), ("d2", 8), ("d3", 1)]
    lake.replace(DUPLICATE, duplicates(lake), "emptied", Part("delivery_id", ("d1",)))
    assert numbers(lake) == [("d2", 8), ("d3", 1)]


def test_part_of_hostile_values_is_replaced_and_nothing_else(lake: Lake) -> None:
    hostile = {"d' OR '1'='1": [1], "d\\": [2], "d`x": [3], "两\n行": [4]}
    lake.replace(DUPLICATE, duplicates(lake, d1=[1], **hostile), "all")
    lake.replace(DUPLICATE, duplicates(lake), "gone", Part("delivery_id", tuple(hostile)))
    assert numbers(lake) == [("d1", 1)]


def test_literal_means_its_text_to_the_engine(lake: Lake) -> None:
    values = ["it's", "\\", "\\'", "\\n", "两\n行", "100%_", "$x", '"']
    row = lake.spark.sql(f"SELECT {', '.join(map(literal, values))}").first()
    assert list(row or ()) == values


def test_row_outside_the_part_is_refused(lake: Lake) -> None:
    lake.replace(DUPLICATE, duplicates(lake, d1=[1], d2=[1]), "all")
    with pytest.raises(REFUSED, match="REPLACE_WHERE"):
        lake.replace(DUPLICATE, duplicates(lake, d1=[7], d2=[7]), "part", Part("delivery_id", ("d1",)))
    assert numbers(lake) == [("d1", 1), ("d2", 1)]
    assert not lake.is_done(DUPLICATE, "part")


def test_part_may_be_days(lake: Lake) -> None:
    days = [{"business_date": day, "delivery_id": str(day)} for day in ("2026-11-01", "2026-11-02")]
    rows = lake.spark.createDataFrame(days).selectExpr("*", "CAST(business_date AS DATE) AS day")
    said = Part("day", ("2026-11-02",)).predicate()
    assert [row["delivery_id"] for row in rows.where(said).collect()] == ["2026-11-02"]


def test_merge_inserts_updates_and_deletes(lake: Lake) -> None:
    lake.merge(PLACE, places(lake, p1="one", p2="two", p3="three"), "first")
    lake.merge(PLACE, places(lake, p1="one", p2="2", p4="four"), "second")
    rows = lake.rows(PLACE, ["place_id", "place_name"]).to_pylist()
    assert {row["place_id"]: row["place_name"] for row in rows} == {"p1": "one", "p2": "2", "p4": "four"}


def test_merge_takes_null_keys_for_equal(lake: Lake) -> None:
    table = "fused.link_place_source"
    row = {"place_id": "p", "source_code": "a", "place_kind_code": "bus_stop", "place_name": "x", "record_count": 1}
    lake.merge(table, frame(lake, table, [row]), "first")
    lake.merge(table, frame(lake, table, [{**row, "record_count": 2}]), "second")
    assert [(r["place_code"], r["record_count"]) for r in lake.rows(table).to_pylist()] == [(None, 2)]
    assert rows_changed(lake, table) == {"Inserted": 0, "Updated": 1, "Deleted": 0}


def test_merge_writes_nothing_when_it_was_done(lake: Lake) -> None:
    assert lake.merge(PLACE, places(lake, p1="one"), "first")
    version = delta_version(lake, PLACE)
    assert not lake.merge(PLACE, places(lake, p1="one"), "first")
    assert delta_version(lake, PLACE) == version


def test_merge_changes_no_row_when_none_differs(lake: Lake) -> None:
    lake.merge(PLACE, places(lake, p1="one", p2=None), "first")
    assert lake.merge(PLACE, places(lake, p1="one", p2=None), "second")
    assert rows_changed(lake, PLACE) == {"Inserted": 0, "Updated": 0, "Deleted": 0}
    assert lake.is_done(PLACE, "second")


def test_merge_leaves_files_without_a_difference_alone(lake: Lake) -> None:
    lake.append(PLACE, places(lake, p1="one"), "first")
    lake.append(PLACE, places(lake, p2="two"), "second")
    before = set(DeltaTable(lake.path(PLACE)).file_uris())
    lake.merge(PLACE, places(lake, p1="one", p2="2"), "third")
    assert len(before) == 2
    assert len(before & set(DeltaTable(lake.path(PLACE)).file_uris())) == 1


def test_merge_begins_again_when_the_table_was_written_meanwhile(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.merge(PLACE, places(lake, p1="one", p2="two"), "first")
    differences = merging.differences

    def written_meanwhile(*arguments: Any) -> DataFrame:
        found = differences(*arguments)
        lake.append(PLACE, places(lake, p3="three"), "another")  # done once: it bears a fingerprint
        return found

    monkeypatch.setattr(merging, "differences", written_meanwhile)
    lake.merge(PLACE, places(lake, p1="one", p2="2"), "second")
    assert {row["place_id"] for row in lake.rows(PLACE, ["place_id"]).to_pylist()} == {"p1", "p2"}


def test_merge_leaves_no_fingerprint_for_the_next_write(lake: Lake) -> None:
    lake.merge(PLACE, places(lake, p1="one"), "first")
    settings = ("write.txnAppId", "write.txnVersion", "commitInfo.userMetadata")
    assert [lake.spark.conf.get(f"spark.databricks.delta.{name}", None) for name in settings] == [None] * 3


@pytest.mark.parametrize(
    ("table_id", "wrong"),
    [
        (PLACE, {"place_kind_code": "moon_base"}),
        (PLACE, {"place_id": None}),
        ("std.place", {"longitude": 181.0}),
        ("std.place", {"latitude": -90.5}),
    ],
)
def test_constraint_refuses_a_bad_row(table_id: str, wrong: dict[str, Any], lake: Lake) -> None:
    right = {**STOP, "place_id": "p", "place_name": "one", "delivery_id": "d", "record_number": 1}
    with pytest.raises(REFUSED, match=r"CONSTRAINT|NOT_NULL|NOT NULL"):
        lake.append(table_id, frame(lake, table_id, [right, {**right, **wrong}]), "wrong")
    assert lake.rows(table_id).num_rows == 0
    assert lake.append(table_id, frame(lake, table_id, [right]), "right")


def test_frame_is_brought_to_the_contracts_columns_and_types(lake: Lake) -> None:
    loose = lake.spark.sql(
        "SELECT 'k' AS kept_delivery_id, '3' AS kept_record_number, 'a.b' AS feed_id, 2 AS record_number,"
        " 'd' AS delivery_id, 'not declared' AS more"
    )
    lake.append(DUPLICATE, loose, "loose")
    [row] = lake.rows(DUPLICATE).to_pylist()
    assert list(row) == list(FOUND.table(DUPLICATE).column_names)
    assert row["kept_record_number"] == 3


def test_version_does_not_rise_with_maintenance(lake: Lake) -> None:
    for number in range(3):
        lake.append(DUPLICATE, duplicates(lake, d=[number]), str(number))
    version = lake.version(DUPLICATE)
    lake.maintain(DUPLICATE)
    assert delta_version(lake, DUPLICATE) > version, "nothing was maintained"
    assert lake.version(DUPLICATE) == version
    assert lake.is_done(DUPLICATE, "0")
    lake.append(DUPLICATE, duplicates(lake, d=[9]), "more")
    assert lake.version(DUPLICATE) == delta_version(lake, DUPLICATE)


def test_state_of_a_table_that_was_made_anew_is_another_though_its_version_is_not(lake: Lake) -> None:
    lake.append(DUPLICATE, duplicates(lake, d=[1]), "before")
    before, reader = (lake.version(DUPLICATE), lake.state(DUPLICATE)), lake.fingerprint(PLACE, None, [DUPLICATE])
    lake.maintain(DUPLICATE)
    assert (lake.version(DUPLICATE), lake.state(DUPLICATE)) == before
    shutil.rmtree(lake.path(DUPLICATE))
    lake.append(DUPLICATE, duplicates(lake, d=[2]), "after")
    assert lake.version(DUPLICATE) == before[0]
    assert lake.state(DUPLICATE) != before[1]
    assert lake.fingerprint(PLACE, None, [DUPLICATE]) != reader


def test_version_is_none_when_a_table_was_only_made(lake: Lake) -> None:
    lake.spark.sql(create_table(FOUND.table(PLACE), lake.path(PLACE), FOUND.codesets)).collect()
    assert lake.exists(PLACE)
    assert lake.version(PLACE) == -1


@pytest.mark.parametrize("table_id", FOUND.tables)
def test_every_table_opens_with_delta_rs_and_explains_itself(table_id: str, lake: Lake) -> None:
    table = FOUND.table(table_id)
    lake.spark.sql(create_table(table, lake.path(table_id), FOUND.codesets)).collect()
    found = DeltaTable(lake.path(table_id))
    assert [column.name for column in found.schema().fields] == list(table.column_names)
    assert found.to_pyarrow_table().num_rows == 0
    assert found.metadata().description == table.description
    assert [f.metadata.get("comment", "") for f in found.schema().fields if not f.metadata.get("comment")] == []
    assert {f.name for f in found.schema().fields if not f.nullable} == {c.name for c in table.columns if c.required}
    half = lake.home.root / table.zone / "lake"
    assert half in Path(lake.path(table_id)).parents
