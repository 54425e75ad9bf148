"""A stranger changes a contract in a folder of their own and asks `ronghe migrate --dry-run`: each class is answered.

The lake is made without an engine, as a Ronghe before the change left it: tables, their properties, no rows.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from ronghe.cli.main import app
from ronghe.contracts import Table, catalogue
from ronghe.contracts.catalogue import builtin_folder
from ronghe.contracts.ddl import new_checks, own_properties
from ronghe.contracts.shape import FORMAT, recorded_shape, remembering, shape_of
from ronghe.home import Home
from ronghe.lake import Lake

TABLE, FEED = "schemas/tables/meta/link_review.odcs.yaml", "schemas/sources/shenzhen/swipe.odcs.yaml"
NAMES, COUNTS = "schemas/tables/fused/organisation.odcs.yaml", "schemas/tables/mart/education.odcs.yaml"
SWIPES = "schemas/tables/std/swipe.odcs.yaml"
TYPES = {"BIGINT": "long", "INT": "integer"}
Contract = dict[str, Any]
Edit = Callable[[Contract], None]


def make(home: Home, *table_ids: str, **properties: str) -> None:
    """Make empty tables as today's contracts say, by the one commit that Delta needs; empty properties are left out."""
    lake = Lake(home, catalogue())
    for table in map(catalogue().table, table_ids):
        fields = [
            {
                "name": c.name,
                "type": TYPES.get(c.physical_type, c.physical_type.lower()),
                "nullable": not c.required,
                "metadata": {},
            }
            for c in table.columns
        ]
        metadata = {
            "id": table.id,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": [],
            "configuration": {k: v for k, v in (declared(table) | properties).items() if v},
        }
        log = Path(lake.path(table.id), "_delta_log", f"{0:020}.json")
        log.parent.mkdir(parents=True)
        actions = ({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": metadata})
        log.write_text("".join(json.dumps(action) + "\n" for action in actions), "utf-8")


def declared(table: Table) -> dict[str, str]:
    """Return the properties of a table that is up to date."""
    return own_properties(table, shape_of(table, catalogue().codesets)) | limits(table)


def limits(table: Table) -> dict[str, str]:
    """Return a table's constraints as Delta keeps them."""
    checks = new_checks(table, catalogue().codesets, {})
    return {f"delta.constraints.{name.lower()}": check for name, check in checks.items()}


def test_a_limit_is_the_same_however_delta_spaces_it() -> None:
    table, codesets = catalogue().table("meta.delivery"), catalogue().codesets
    spaced = {
        name: check.replace("(", "( ").replace(")", " )").replace(",", " ,") for name, check in limits(table).items()
    }
    assert spaced != limits(table)
    assert new_checks(table, codesets, spaced) == {}
    other = {name: check.replace("'accepted'", "'accept ed'") for name, check in spaced.items()}
    assert set(new_checks(table, codesets, other)) == {"event_code_codes"}


def record(contract: Contract) -> dict[str, Any]:
    found: dict[str, Any] = contract["schema"][0]
    return found


def column(contract: Contract, name: str) -> dict[str, Any]:
    return next(c for c in record(contract)["properties"] if c["name"] == name)


def custom(thing: dict[str, Any], name: str, value: Any) -> None:
    kept = [p for p in thing.get("customProperties", ()) if p["property"] != name]
    thing["customProperties"] = [*kept, *([{"property": name, "value": value}] if value is not None else [])]


def version(number: str) -> Edit:
    return lambda contract: contract.update(version=number)


def add(name: str, like: str, **values: Any) -> Edit:
    def edit(contract: Contract) -> None:
        new = {
            k: v for k, v in column(contract, like).items() if k not in ("primaryKey", "primaryKeyPosition", "required")
        }
        record(contract)["properties"].append({**new, "name": name, **values})

    return edit


def drop(name: str) -> Edit:
    return lambda contract: record(contract)["properties"].remove(column(contract, name))


def put(name: str, /, **values: Any) -> Edit:
    return lambda contract: column(contract, name).update(values)


def put_custom(name: str, key: str, value: Any) -> Edit:
    return lambda contract: custom(column(contract, name), key, value)


def put_record(key: str, value: Any) -> Edit:
    return lambda contract: custom(record(contract), key, value)


def changed(folder: Path, path: str, *edits: Edit) -> str:
    """Put a changed contract into a folder of its own; return what RONGHE_SCHEMAS has to say."""
    contract = yaml.safe_load((builtin_folder() / path).read_text("utf-8"))
    for edit in edits:
        edit(contract)
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(contract, allow_unicode=True), "utf-8")
    return f"builtin:{folder}"


def migrate(home: Home, schemas: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    monkeypatch.setenv("RONGHE_HOME", str(home.root))
    monkeypatch.setenv("RONGHE_SCHEMAS", schemas)
    found = CliRunner().invoke(app, ["migrate", "--dry-run"])
    return found.exit_code, " ".join(found.output.split())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home").make()
    make(home, "meta.link_review", "raw.shenzhen__swipe", "std.swipe", "fused.organisation", "mart.education")
    return home


MINOR, MAJOR = version("1.1.0"), version("2.0.0")
OPENED = put("legal_representative_name", classification="L1")
HASHED = put_custom("legal_representative_name", "treatment", "hash")


def wider(contract: Contract) -> None:
    next(p["value"] for p in record(contract)["customProperties"] if p["property"] == "gate")["minimum_count"] = 11


@pytest.mark.parametrize(
    ("path", "edits", "code", "said"),
    [
        # Nothing to a table.
        (TABLE, [], 0, "0 tables would change, 0 refused"),
        (TABLE, [put("link_review_reason_code", description="In other words")], 0, "0 tables would change"),
        (TABLE, [lambda c: record(c)["properties"].reverse()], 0, "0 tables would change"),
        (TABLE, [put("source_code", logicalTypeOptions={"maxLength": 40})], 0, "limit source_code_range is set anew"),
        # Additions.
        (TABLE, [add("remark", "source_code"), MINOR], 0, "would change meta.link_review: column remark was added"),
        (TABLE, [put("source_code", required=False), MINOR], 0, "column source_code became optional"),
        (
            TABLE,
            [add("remark", "source_code")],
            1,
            "remark was added, and the contract's version went from 1.0.0 to 1.0.0",
        ),
        (TABLE, [add("remark", "source_code"), version("0.9.0")], 1, "from 1.0.0 to 0.9.0. Raise it to 1.1.0"),
        # What would lose or reinterpret rows, whatever the version says.
        (TABLE, [add("remark", "source_code", required=True), MAJOR], 1, "was added as required: rows written before"),
        (
            TABLE,
            [drop("link_review_reason_code"), MAJOR],
            1,
            "column link_review_reason_code was dropped or renamed: its values would be lost",
        ),
        (
            TABLE,
            [put("link_review_reason_code", name="why"), MAJOR],
            1,
            "a new name is a further column with `filledFrom`",
        ),
        (TABLE, [put("candidate_count", physicalType="INT"), MAJOR], 1, "of type BIGINT became INT: add a column of"),
        (TABLE, [put("source_code", physicalType="BIGINT"), MAJOR], 1, "is string, kept as BIGINT: STRING would do"),
        (
            TABLE,
            [put("candidate_count", physicalType="INTEGER"), MAJOR],
            1,
            "physicalType: String should match pattern",
        ),
        (TABLE, [put("source_code", name="candidate_count"), MAJOR], 1, "column candidate_count is declared twice"),
        (TABLE, [put_custom("source_code", "element", "feed_id"), MAJOR], 1, "of element source_code became feed_id"),
        (TABLE, [put("source_code", primaryKey=True, primaryKeyPosition=9), MAJOR], 1, "primary key ("),
        # More may leave than before: a new major version announces it.
        (NAMES, [OPENED], 1, "Raise it to 2.0.0"),
        (NAMES, [OPENED, MINOR], 1, "column legal_representative_name of grade L3 became L1: more of it may leave"),
        (NAMES, [OPENED, MAJOR], 0, "column legal_representative_name of grade L3 became L1: more of it may leave"),
        (TABLE, [put("link_review_reason_code", classification="L4")], 0, "0 tables would change"),
        # Values leave otherwise: announced too, and told to whoever reads them.
        (NAMES, [HASHED, MINOR], 1, "legal_representative_name of treatment redact became hash: it leaves otherwise"),
        (NAMES, [HASHED, MAJOR], 0, "legal_representative_name of treatment redact became hash: it leaves otherwise"),
        (
            COUNTS,
            [wider, MINOR],
            1,
            "its gate's minimum_count 10 became 11: other figures may leave, and the contract's",
        ),
        (COUNTS, [wider, MAJOR], 0, "would change mart.education: its gate's minimum_count 10 became 11"),
        # Tokens of two keys in one column pair by chance, and identifiers beside tokens tell what was hidden.
        (
            SWIPES,
            [put_custom("card_token", "tokenise", None), MAJOR],
            1,
            "of token service_day service_date became none",
        ),
        (
            SWIPES,
            [put_custom("card_token", "tokenise", {"key": "purpose", "purpose": "x"}), MAJOR],
            1,
            "of token service_day service_date became purpose x",
        ),
        # A gate is not taken away by calling persons things.
        (
            COUNTS,
            [put_record("gate", None), put_record("counts", "things"), MAJOR],
            1,
            "figures about persons became figures about things",
        ),
        # Refused before any table is looked at.
        (TABLE, [put_record("zone", "open"), MAJOR], 1, "zone open does not go with layer meta"),
        (TABLE, [put_custom("source_code", "treatment", "guess")], 1, "Mend the declaration"),
        (TABLE, [put_custom("source_code", "element", "no_such")], 1, "there is no element 'no_such'"),
        (TABLE, [add("ethnicity", "source_code"), MINOR], 1, "ethnicity"),
        (TABLE, [version("2")], 1, "version"),
        # By a plan: a column of a new name is filled from the old one.
        (
            TABLE,
            [add("why", "source_code"), put_custom("why", "filledFrom", "upper(source_code)"), MINOR],
            0,
            "why was added",
        ),
        (TABLE, [put_custom("source_code", "filledFrom", "'a'"), MINOR], 1, "a column with `filledFrom` is optional"),
        # Feeds: how a column is read, one less, one that is refused, one more.
        (FEED, [put_custom("线路名称", "normalise", ["half_width", "single_space"])], 0, "0 tables would change"),
        (
            FEED,
            [put_custom("线路名称", "to", None), put_custom("线路名称", "ignore", "not used"), MINOR],
            0,
            "0 tables",
        ),
        (FEED, [drop("线路名称"), MINOR], 0, "线路名称 is delivered no longer; records read before keep it"),
        (
            FEED,
            [drop("线路名称"), put_record("refuse", ["线路名称"]), MINOR],
            0,
            "线路名称 is refused now; its values are removed",
        ),
        (FEED, [drop("线路名称")], 1, "Raise it to 1.1.0"),
        (FEED, [put_record("refuse", ["线路名称"]), MINOR], 1, "is declared and refused; do one of both"),
        (FEED, [drop("卡号"), MINOR], 1, "std.swipe.card_token is required and nothing fills it"),
        (FEED, [put_custom("线路名称", "to", "no_such"), MINOR], 1, "std.swipe has no column 'no_such'"),
        (FEED, [put_record("target", "std.none"), MAJOR], 1, "target 'std.none' is no declared std table"),
        (
            FEED,
            [lambda c: c.update(slaProperties=[{"property": "retention", "value": 3, "unit": "d"}])],
            1,
            "lateness window",
        ),
    ],
)
def test_each_class_of_change_gets_its_answer(
    path: str, edits: list[Edit], code: int, said: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = migrate(home, changed(tmp_path / "own", path, *edits), monkeypatch)
    assert said in found[1]
    assert found[0] == code


def test_status_names_a_table_that_cannot_follow_its_contract(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "meta.link_review cannot follow the contract: ronghe migrate --dry-run"
    monkeypatch.setenv("RONGHE_HOME", str(home.root))
    for schemas, told in (("builtin", False), (changed(tmp_path / "own", TABLE, drop("candidate_count"), MAJOR), True)):
        monkeypatch.setenv("RONGHE_SCHEMAS", schemas)
        assert (said in " ".join(CliRunner().invoke(app, ["status"]).output.split())) == told


def test_a_column_that_is_filled_or_whose_limit_goes_is_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = put_custom("why", "filledFrom", "upper(source_code)")
    found = migrate(home, changed(tmp_path / "own", TABLE, add("why", "source_code"), filled, MINOR), monkeypatch)
    assert "column why is filled from what its contract says: if it can be worked out for every row" in found[1]
    found = migrate(
        home, changed(tmp_path / "other", TABLE, put_custom("link_review_reason_code", "codes", None)), monkeypatch
    )
    assert "would change meta.link_review: limit link_review_reason_code_codes is dropped 1 tables" in found[1]


@pytest.mark.parametrize(
    ("name", "like", "said"),
    [
        ("remark", "candidate_count", "is there with type STRING, by a change that was not finished"),
        ("remark", "source_code", "column remark was added"),
    ],
)
def test_a_column_that_is_there_is_taken_up_under_its_type_only(
    name: str, like: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The column was added, and then the change was cut off: the table has it, and its recorded shape has not."""
    home = Home(tmp_path / "home").make()
    shape = declared(catalogue().table("meta.link_review"))["ronghe.shape"]
    monkeypatch.setenv("RONGHE_SCHEMAS", changed(tmp_path / "first", TABLE, add(name, "source_code"), MINOR))
    make(home, "meta.link_review", **{"ronghe.shape": shape, "ronghe.contract": "meta.link_review@1.0.0"})
    found = migrate(home, changed(tmp_path / "second", TABLE, add(name, like), MINOR), monkeypatch)
    assert said in found[1]


def test_a_column_that_differs_by_case_only_is_refused(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = "schemas/sources/chengdu/permit.odcs.yaml"
    make(home, "raw.chengdu__permit")
    name = catalogue().feed("chengdu.permit").columns[0].name
    found = migrate(home, changed(tmp_path / "own", feed, put(name, name=name.swapcase()), MINOR), monkeypatch)
    assert f"column {name.swapcase()} differs by case only from {name}, which the table has" in found[1]
    assert found[0] == 1


@pytest.mark.parametrize(("shown", "code"), [(f"{FORMAT + 1}", 1), (f"{FORMAT}", 0), ("1", 0), ("", 0)])
def test_a_newer_lake_is_refused_and_an_older_one_is_not(
    shown: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home").make()
    make(home, "meta.link_review", **{"ronghe.format": shown, "ronghe.shape": ""})
    found = migrate(home, "builtin", monkeypatch)
    assert found[0] == code
    assert (f"has the lake's format {shown}; this Ronghe knows formats up to {FORMAT}" in found[1]) == bool(code)


def test_what_fills_a_column_stays_what_it_was(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows written before were filled by the first expression, and nobody could tell them from the others."""
    plan = (add("why", "source_code"), put_custom("why", "filledFrom", "upper(source_code)"), MINOR)
    home = Home(tmp_path / "filled").make()
    monkeypatch.setenv("RONGHE_SCHEMAS", changed(tmp_path / "first", TABLE, *plan))
    make(home, "meta.link_review")
    spaced = put_custom("why", "filledFrom", " upper(source_code)\n")
    assert migrate(home, changed(tmp_path / "spaced", TABLE, *plan, spaced), monkeypatch)[0] == 0
    other = put_custom("why", "filledFrom", "lower(source_code)")
    found = migrate(home, changed(tmp_path / "other", TABLE, *plan, other, MAJOR), monkeypatch)
    assert "column why was filled from upper(source_code) and would be from lower(source_code)" in found[1]
    assert found[0] == 1
    blanks = put_custom("why", "filledFrom", "upper( 'a  b' )")
    assert migrate(home, changed(tmp_path / "blanks", TABLE, *plan, blanks, MAJOR), monkeypatch)[0] == 1
    # Once every writer knows the column, the plan is over.
    over = put_custom("why", "filledFrom", None)
    assert migrate(home, changed(tmp_path / "over", TABLE, *plan, over), monkeypatch)[0] == 0


def test_a_column_that_is_there_is_not_filled_later(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = (add("why", "source_code"), MINOR)
    home = Home(tmp_path / "made").make()
    monkeypatch.setenv("RONGHE_SCHEMAS", changed(tmp_path / "first", TABLE, *plan))
    make(home, "meta.link_review")
    late = put_custom("why", "filledFrom", "upper(source_code)")
    found = migrate(home, changed(tmp_path / "late", TABLE, *plan, late, MAJOR), monkeypatch)
    assert "column why was filled from none and would be from upper(source_code)" in found[1]
    assert found[0] == 1


def test_a_code_that_went_is_remembered() -> None:
    """Rows may hold it, and a long list is no limit of its column."""
    table, codesets = catalogue().table("std.swipe"), catalogue().codesets
    kinds = codesets["swipe_kind"]
    fewer = shape_of(table, {**codesets, kinds.id: kinds.model_copy(update={"codes": kinds.codes[1:]})})
    kept = remembering(shape_of(table, codesets), fewer)
    assert recorded_shape({"ronghe.shape": kept.as_json()}, {}, "restricted") == shape_of(table, codesets)


@pytest.mark.parametrize(
    ("right", "wrong", "code", "said"),
    [
        (
            "name_zh: 地铁出站",
            "name_zh: 地铁出闸",
            1,
            "holds the code metro_out, which meant 地铁出站 and means 地铁出闸",
        ),
        ("name_zh: 地铁出站", "name_zh: 地铁出闸, aliases: [地铁出站]", 0, "0 tables would change"),
        ("code: metro_in", "code: metro_entry", 0, "limit swipe_kind_code_codes is set anew"),
    ],
)
def test_a_code_means_what_it_meant(
    right: str, wrong: str, code: int, said: str, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "schemas/codesets/swipe_kind.yaml"
    text = (builtin_folder() / path).read_text("utf-8")
    assert right in text
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text.replace(right, wrong), "utf-8")
    found = migrate(home, f"builtin:{tmp_path}", monkeypatch)
    assert said in found[1]
    assert found[0] == code


def test_what_an_older_ronghe_did_not_record_is_not_held_against_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"candidate_count": {"physical_type": "BIGINT", "required": False}}
    own = {"ronghe.shape": json.dumps({"zone": "restricted", "primary_key": [], "columns": columns})}
    home = Home(tmp_path / "older").make()
    make(home, "meta.link_review", "fused.organisation", **own, **{"ronghe.guards": "", "ronghe.format": "1"})
    found = migrate(home, changed(tmp_path / "own", NAMES, HASHED), monkeypatch)
    assert "treatment" not in found[1]
    assert "token" not in found[1]
