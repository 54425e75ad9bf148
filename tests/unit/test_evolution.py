"""Every class of change a contract may see, and the answer to it."""

from dataclasses import replace

import pytest

from ronghe.contracts import catalogue
from ronghe.contracts.evolution import Change, EvolutionRefused, changes, refuse_major, refuse_newer, refuse_version
from ronghe.contracts.shape import FORMAT, ColumnShape, Shape, recorded_shape, shape_of

TEXT = ColumnShape("STRING", False, "name")
OLD = Shape(
    "open",
    {"id": ColumnShape("STRING", True, "id"), "name": TEXT, "length": ColumnShape("INT", False, "x", "m")},
    ("id",),
)


def with_column(name: str, column: ColumnShape | None) -> Shape:
    columns = {**OLD.columns, name: column}
    return replace(OLD, columns={key: value for key, value in columns.items() if value})


@pytest.mark.parametrize(
    ("new", "said", "expected"),
    [
        (with_column("kind", TEXT), "column kind was added", "minor"),
        (with_column("id", ColumnShape("STRING", False, "id")), "column id became optional", "minor"),
        (with_column("kind", replace(TEXT, required=True)), "rows written before have no value", "major"),
        (with_column("name", None), "column name was dropped or renamed: its values would be lost", "major"),
        (with_column("name", replace(TEXT, physical_type="INT")), "of type STRING became INT", "major"),
        (with_column("name", replace(TEXT, required=True)), "became required", "major"),
        (with_column("name", replace(TEXT, element="title")), "of element name became title", "major"),
        (with_column("length", ColumnShape("INT", False, "x", "km")), "of unit m became km", "major"),
        (with_column("length", ColumnShape("INT", False, "x")), "of unit m became none", "major"),
        (replace(OLD, zone="restricted"), "zone open became restricted", "major"),
        (replace(OLD, primary_key=("name",)), "primary key (id) became (name)", "major"),
    ],
)
def test_a_change_is_named_and_classed(new: Shape, said: str, expected: str) -> None:
    found = changes(OLD, new)
    assert said in str(found[0])
    assert [change.level for change in found] == [expected]
    if expected == "major":
        with pytest.raises(EvolutionRefused, match=r"mart\.x: its rows were written under another contract") as error:
            refuse_major("mart.x", found)
        assert said in str(error.value)
    else:
        refuse_major("mart.x", found)


def test_the_same_and_another_order_of_columns_are_no_change() -> None:
    assert changes(OLD, replace(OLD, columns=dict(reversed(OLD.columns.items())))) == ()


def test_a_rename_is_refused_as_what_it_would_do() -> None:
    renamed = replace(OLD, columns={("title" if n == "name" else n): c for n, c in OLD.columns.items()})
    assert [(c.column, c.level) for c in changes(OLD, renamed)] == [("title", "minor"), ("name", "major")]


def test_records_as_read_keep_what_is_delivered_no_longer_and_lose_what_is_refused() -> None:
    less = with_column("name", None)
    [kept], [removed] = changes(OLD, less, as_read=True), changes(OLD, less, as_read=True, refused=frozenset({"name"}))
    assert str(kept) == "column name is delivered no longer; records read before keep it"
    assert "its values are removed" in str(removed)
    assert (kept.level, removed.level) == ("minor", "minor")


@pytest.mark.parametrize("now", ["1.1.0", "1.3.2", "2.0.0"])
def test_a_version_that_grew_says_that_the_contract_changed(now: str) -> None:
    refuse_version("mart.x", "1.0.5", now, changes(OLD, with_column("kind", TEXT)))


@pytest.mark.parametrize("now", ["1.2.5", "1.2.9", "1.1.0", "0.9.0"])
def test_a_version_that_stood_still_or_went_back_is_refused(now: str) -> None:
    found = changes(OLD, with_column("kind", TEXT))
    with pytest.raises(EvolutionRefused, match=rf"kind was added.*from 1\.2\.5 to {now}\. Raise it to 1\.3\.0"):
        refuse_version("mart.x", "1.2.5", now, found)
    # Nothing changed, or an older Ronghe did not say: nothing is held against it.
    refuse_version("mart.x", "1.2.5", now, ())
    refuse_version("mart.x", "", now, found)


def test_a_table_keeps_its_shape_in_a_property() -> None:
    for table in catalogue().tables.values():
        shape = shape_of(table, catalogue().codesets)
        assert changes(recorded_shape({"ronghe.shape": shape.as_json()}, {}, "open"), shape) == ()


def test_what_an_older_ronghe_did_not_record_is_not_held_against_it() -> None:
    columns = {"id": ("string", True), "name": ("string", False)}
    found = changes(recorded_shape({"ronghe.zone": "open"}, columns, "open"), OLD)
    assert found == (Change("length", "was added", "minor"),)


def test_a_lake_of_a_newer_format_is_refused() -> None:
    refuse_newer("mart.x", {})
    refuse_newer("mart.x", {"ronghe.format": str(FORMAT)})
    with pytest.raises(EvolutionRefused, match="a newer one"):
        refuse_newer("mart.x", {"ronghe.format": str(FORMAT + 1)})
