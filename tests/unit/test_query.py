"""The DuckDB shell over the open half, on small tables that delta-rs wrote; no engine runs."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner, Result

from ronghe.cli import app
from ronghe.cli.query import QueryError, _answer, _command, connect, run_query, shell
from ronghe.contracts import catalogue
from ronghe.home import Home

DAY = date(2026, 11, 1)
QUARTER = datetime(2026, 11, 1, 0, 15, tzinfo=UTC)
SECRET = "91520103AA000001A4"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home that the environment names."""
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path / "home"))
    return Home.find().make()


@pytest.fixture
def lake(home: Home) -> Home:
    """Two open tables, one restricted, and a file."""
    flow = {
        "source_code": ["shenzhen", "shenzhen"],
        "place_kind_code": ["metro_station", "bus_stop"],
        "service_date": pa.array([DAY, DAY]),
        "place_id": ["plc_1", "plc_2"],
        "window_start_at": pa.array([QUARTER, None], pa.timestamp("us", "UTC")),
        "grain_code": ["15min", "day"],
        "in_count": [12, 30],
        "out_count": pa.array([11, None], pa.int64()),
    }
    places = {
        "place_id": ["plc_1", "plc_2"],
        "place_name": ["深圳北", "𠮷,“野”"],
        "place_kind_code": ["metro_station", "bus_stop"],
        "longitude": [114.02, None],
    }
    assert set(flow) == set(catalogue().table("mart.passenger_flow").column_names)
    write_deltalake(str(home.open_lake / "mart" / "passenger_flow"), pa.table(flow))
    write_deltalake(str(home.open_lake / "safe" / "place"), pa.table(places))
    write_deltalake(str(home.restricted_lake / "fused" / "organisation"), pa.table({"uscc": [SECRET]}))
    (home.root / "file.csv").write_text(f"uscc\n{SECRET}\n")
    return home


# Answers -----------------------------------------------------------------------------------------------------------


def test_query_answers_with_a_table(lake: Home) -> None:
    text = run_query(
        lake, "SELECT place_name FROM safe.place JOIN mart.passenger_flow USING (place_id) WHERE in_count=12"
    )
    assert "place_name" in text
    assert "深圳北" in text
    assert text.endswith("\n")


def test_query_answers_with_csv_that_reads_back(lake: Home) -> None:
    text = run_query(lake, "SELECT place_id, out_count, service_date FROM mart.passenger_flow ORDER BY 1", "csv")
    assert list(csv.reader(io.StringIO(text))) == [
        ["place_id", "out_count", "service_date"],
        ["plc_1", "11", "2026-11-01"],
        ["plc_2", "", "2026-11-01"],
    ]
    named = list(
        csv.DictReader(io.StringIO(run_query(lake, "SELECT place_name FROM safe.place ORDER BY place_id", "csv")))
    )
    assert [row["place_name"] for row in named] == ["深圳北", "𠮷,“野”"]


def test_query_answers_with_json_in_which_nothing_changed(lake: Home) -> None:
    columns = "place_name, longitude, window_start_at, in_count"
    query = f"SELECT {columns} FROM safe.place JOIN mart.passenger_flow USING (place_id) ORDER BY place_id"
    rows = json.loads(run_query(lake, query, "json"))
    instant = rows[0].pop("window_start_at")
    assert datetime.fromisoformat(instant) == QUARTER
    assert rows == [
        {"place_name": "深圳北", "longitude": 114.02, "in_count": 12},
        {"place_name": "𠮷,“野”", "longitude": None, "window_start_at": None, "in_count": 30},
    ]


def test_query_writes_a_day_as_a_day_in_json(lake: Home) -> None:
    assert json.loads(run_query(lake, "SELECT DISTINCT service_date AS d FROM mart.passenger_flow", "json")) == [
        {"d": "2026-11-01"}
    ]


@pytest.mark.parametrize("output", ["csv", "json"])
def test_query_writes_money_to_the_cent(home: Home, output: str) -> None:
    amount = pa.array([Decimal("12345678901234.57")], pa.decimal128(18, 2))
    write_deltalake(str(home.open_lake / "mart" / "social_security"), pa.table({"employer_cny": amount}))
    text = run_query(home, "SELECT employer_cny FROM mart.social_security", output)
    assert "12345678901234.57" in text
    assert "12345678901234.570" not in text


def test_query_tells_instants_in_utc(lake: Home) -> None:
    text = run_query(lake, "SELECT CAST(window_start_at AS VARCHAR) AS t FROM mart.passenger_flow ORDER BY 1", "csv")
    assert "2026-11-01 00:15:00+00" in text


# Wrong queries -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["table", "csv", "json"])
@pytest.mark.parametrize(
    "query",
    [
        "SELEC 1",
        "SELECT * FROM mart.nothing",
        "SELECT no_column FROM safe.place",
        pytest.param("SELECT CAST(place_name AS INTEGER) FROM safe.place", id="fails while it runs"),
    ],
)
def test_wrong_query_says_why(lake: Home, query: str, output: str) -> None:
    with pytest.raises(QueryError, match="Error"):
        run_query(lake, query, output)


def test_query_of_the_restricted_half_says_that_it_is_not_asked_here(lake: Home) -> None:
    with pytest.raises(QueryError, match=r"std\.swipe: of the restricted half, which is not asked here"):
        run_query(lake, "SELECT * FROM std.swipe")
    with pytest.raises(QueryError) as error:
        run_query(lake, "SELECT * FROM mart.nothing")
    assert "restricted" not in str(error.value)


def test_unknown_format_is_named(lake: Home) -> None:
    with pytest.raises(QueryError, match="'xml' is none of table, csv, json"):
        run_query(lake, "SELECT 1", "xml")


def test_empty_lake_says_what_to_do_first(home: Home) -> None:
    with pytest.raises(QueryError, match=r"open half is empty.*ronghe run"):
        run_query(home, "SELECT 1")
    with pytest.raises(QueryError, match="open half is empty"):
        shell(home)


# What cannot be reached --------------------------------------------------------------------------------------------


def statements(home: Home) -> Iterator[tuple[str, str]]:
    """Ways to a file, to the restricted half and to the network, by name."""
    file, restricted = home.root / "file.csv", home.restricted_lake / "fused" / "organisation"
    target = home.root / "target"
    yield "csv", f"SELECT * FROM read_csv('{file}')"
    yield "csv by name", f"SELECT * FROM '{file}'"
    yield "sniffed csv", f"SELECT * FROM sniff_csv('{file}')"
    yield "text", f"SELECT * FROM read_text('{file}')"
    yield "bytes", f"SELECT * FROM read_blob('{file}')"
    yield "json", f"SELECT * FROM read_json('{file}')"
    yield "names", f"SELECT * FROM glob('{home.root}/*')"
    yield "parquet", f"SELECT * FROM read_parquet('{restricted}/*.parquet')"
    yield "parquet schema", f"SELECT * FROM parquet_schema('{restricted}/*.parquet')"
    yield "delta", f"SELECT * FROM delta_scan('{restricted}')"
    yield "copy in", f"CREATE TABLE t (a VARCHAR); COPY t FROM '{file}'"
    yield "copy out", f"COPY safe.place TO '{target}.csv'"
    yield "export", f"EXPORT DATABASE '{target}'"
    yield "attach", f"ATTACH '{target}.db' AS other"
    yield "attach what is there", f"ATTACH '{file}' AS other"
    yield "network", "SELECT * FROM read_csv('https://localhost:1/x.csv')"
    yield "install", "INSTALL httpfs"
    yield "load", "LOAD httpfs"
    yield "open up", "SET enable_external_access = true"
    yield "open up globally", "SET GLOBAL enable_external_access = true"
    yield "reset", "RESET enable_external_access"
    yield "unlock", "SET lock_configuration = false"
    yield "allow a folder", f"SET allowed_directories = ['{home.root}']"
    yield "python objects", "SET python_enable_replacements = true"
    yield "write a profile", f"SET profiling_output = '{target}.json'"
    yield "write a log", f"SET log_query_path = '{target}.log'"
    yield "restricted schema", "SELECT * FROM fused.organisation"


def outcome(connection: duckdb.DuckDBPyConnection, statement: str) -> str:
    """What the statement gives, or the error it ends in."""
    try:
        return str(connection.execute(statement).fetchall())
    except duckdb.Error as error:
        return f"Error: {error}"


def test_shell_reaches_no_file_no_network_and_not_the_restricted_half(lake: Home) -> None:
    before = sorted(lake.root.rglob("*"))
    tried = dict(statements(lake))
    said = {name: outcome(connect(lake), statement) for name, statement in tried.items()}
    assert len(tried) > 20
    assert {name: text for name, text in said.items() if "Error" not in text or SECRET in text} == {}
    assert sorted(lake.root.rglob("*")) == before


def test_shell_does_not_see_the_variables_of_the_program(lake: Home) -> None:
    secret_frame = pa.table({"uscc": [SECRET]})
    assert secret_frame.num_rows == 1
    with pytest.raises(duckdb.CatalogException, match="secret_frame does not exist"):
        connect(lake).sql("SELECT * FROM secret_frame")


def test_shell_shows_tables_of_the_open_half_only(lake: Home) -> None:
    shown = (
        connect(lake).sql("SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    )
    views = {name for (name,) in shown if not name.startswith("main.")}
    assert views == {"mart.passenger_flow", "safe.place"}


# The shell's own commands ------------------------------------------------------------------------------------------


def test_tables_lists_what_is_there(lake: Home) -> None:
    lines = _command(lake, ".tables").splitlines()
    assert [line.split()[0] for line in lines] == ["mart.passenger_flow", "safe.place"]


def test_schema_explains_every_column(lake: Home) -> None:
    text = _command(lake, ".schema mart.passenger_flow")
    for column in catalogue().table("mart.passenger_flow").columns:
        assert column.name in text
        assert column.description in text


@pytest.mark.parametrize("line", [".schema", ".schema fused.organisation", ".schema nothing", ".quit now", ".help"])
def test_unknown_command_says_which_there_are(lake: Home, line: str) -> None:
    assert _command(lake, line) == f"{line}: .tables, .schema TABLE or .quit\n"


def test_answer_goes_on_after_a_wrong_statement(lake: Home) -> None:
    connection = connect(lake)
    assert "Error" in _answer(connection, "SELECT CAST(place_name AS INTEGER) FROM safe.place;")
    assert "深圳北" in _answer(connection, "SELECT place_name FROM safe.place;")


def test_shell_reads_statements_over_lines_until_quit(
    lake: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter([".tables", "SELECT place_name", "FROM safe.place;", "SELEC;", ".quit"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    shell(lake)
    said = capsys.readouterr().out
    assert "mart.passenger_flow" in said
    assert "深圳北" in said
    assert "Parser Error" in said
    assert next(typed, None) is None


# From the command line ---------------------------------------------------------------------------------------------


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def test_sql_prints_the_answer(lake: Home) -> None:
    result = invoke("sql", "-f", "csv", "SELECT sum(in_count) AS n FROM mart.passenger_flow")
    assert (result.exit_code, result.stdout.split()) == (0, ["n", "42"])


def test_sql_lists_the_tables_that_are_there(lake: Home) -> None:
    lines = [line.split() for line in invoke("sql", "--tables").stdout.splitlines()]
    assert [(line[0], line[1]) for line in lines] == [("mart.passenger_flow", "2"), ("safe.place", "2")]


def test_sql_explains_a_table_before_it_is_built() -> None:
    said = invoke("sql", "--schema", "mart.social_security").stdout
    for column in catalogue().table("mart.social_security").columns:
        assert column.description in said
    codes = catalogue().codeset("insurance_scheme").codes
    assert codes
    assert [code.name_zh for code in codes if f"{code.code} {code.name_zh}" not in said] == []


def test_sql_explains_no_table_of_the_restricted_half() -> None:
    result = invoke("sql", "--schema", "std.swipe")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "'std.swipe'; there are" in result.stderr


def test_help_of_sql_names_every_open_table() -> None:
    said = invoke("sql", "--help").stdout
    assert [t.id for t in catalogue().tables.values() if t.zone == "open" and t.id not in said] == []


@pytest.mark.parametrize(
    "query",
    ["SELEC 1", "SELECT CAST(place_name AS INTEGER) FROM safe.place", "SELECT * FROM read_csv('/etc/hostname')"],
)
def test_sql_ends_with_a_message_when_the_query_is_wrong(lake: Home, query: str) -> None:
    result = invoke("sql", query)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Error" in result.stderr
    assert "Traceback" not in result.stderr


def test_sql_says_what_to_do_when_nothing_was_built() -> None:
    result = invoke("sql", "SELECT 1")
    assert result.exit_code == 1
    assert result.stderr.startswith("The open half is empty.")


def test_status_of_an_empty_home_names_every_feed_and_what_is_down(home: Home) -> None:
    result = invoke("status")
    assert result.exit_code == 0
    assert str(home.root) in result.stdout
    assert result.stdout.count("down (ronghe up)") == 2
    for feed_id in catalogue().feeds:
        assert feed_id in result.stdout


def test_quarantine_of_an_empty_home_is_empty() -> None:
    assert invoke("quarantine").exit_code == 0


def test_quarantine_says_which_scopes_there_are_when_asked_for_another() -> None:
    result = invoke("quarantine", "atlantis")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"'atlantis' is no source and no feed; there are {', '.join(catalogue().feeds)}\n"


def test_quarantine_counts_reasons_and_shows_records_only_on_request(home: Home) -> None:
    feed_id = next(iter(catalogue().feeds))
    row = {"delivery_id": "d1", "record_number": 7, "feed_id": feed_id, "record": SECRET}
    rows = [{**row, "reasons": "check:uscc format:founded_date"}, {**row, "record_number": 9, "reasons": "check:uscc"}]
    write_deltalake(str(home.restricted_lake / "meta" / "quarantine"), pa.Table.from_pylist(rows))
    delivered = [{"delivery_id": "d1", "path": "x/2026-11-01/a.xlsx"}]
    write_deltalake(str(home.restricted_lake / "meta" / "delivery"), pa.Table.from_pylist(delivered))
    counted = invoke("quarantine", feed_id)
    assert "check:uscc" in counted.stdout
    assert "x/2026-11-01/a.xlsx record 7: check:uscc format:founded_date" in counted.stdout
    assert SECRET not in counted.stdout
    assert SECRET in invoke("quarantine", feed_id, "--records").stdout
    assert "and 1 more (--limit)" in invoke("quarantine", feed_id, "--limit", "1").stdout
