"""A release as tables of a database: SQLite always, PostgreSQL where its programs are installed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ronghe.contracts import Catalogue, ContractError, Extract, catalogue
from ronghe.home import Home
from ronghe.ingest.connections import declare
from ronghe.job import JobFailed
from ronghe.lake import Lake
from ronghe.release import database
from ronghe.release.package import release_extract, releases
from tests import servers
from tests.open_tables import AT, DAY, FLOW, LIVELIHOOD, PLACE, SECURITY, record, small_extract, write, write_livelihood
from tests.ports import free_port


@pytest.fixture(scope="session", name="postgres")
def _postgres() -> Iterator[str]:
    """Start a PostgreSQL for all tests of this file."""
    with servers.postgres() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'livelihood.sqlite'}"
        return
    address = request.getfixturevalue("postgres")
    yield address
    with sa.create_engine(address).begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS livelihood CASCADE")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home").make()
    write_livelihood(home)
    return home


def load(home: Home, url: str, extract: Extract | None = None) -> bool:
    extract = extract or small_extract()
    lake = Lake(home, catalogue())
    release_extract(lake, extract, record)
    release_id = releases(lake, extract.id)[-1]["release_id"]
    return database.load(url, extract, catalogue(), home.releases / extract.id / release_id, release_id)


def ask(url: str, query: str) -> list[Any]:
    engine = sa.create_engine(url)
    schema = "livelihood." if engine.dialect.name == "postgresql" else ""
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(query.format(s=schema))]
    engine.dispose()
    return found


def test_tables_hold_the_released_rows_in_their_types(home: Home, url: str) -> None:
    assert load(home, url)
    found = ask(
        url, "SELECT service_date, place_id, window_start_at, out_count FROM {s}mart_passenger_flow ORDER BY grain_code"
    )
    sqlite = url.startswith("sqlite")
    assert found[1] == (DAY.isoformat(), None, None, None) if sqlite else (DAY, None, None, None)
    assert found[0][1:] == ("plc_1", "2026-11-01 00:15:00.000000" if sqlite else AT, 11)
    [(amount,)] = ask(url, "SELECT employer_cny FROM {s}mart_social_security")
    assert Decimal(str(amount)) == SECURITY["employer_cny"]
    assert ask(url, "SELECT place_name FROM {s}safe_place ORDER BY place_id") == [("深圳北",), ("=HYPERLINK(1)",)]
    for table_id, rows in LIVELIHOOD.items():
        assert ask(url, "SELECT count(*) FROM {s}" + database.table_name(table_id)) == [(len(rows),)]


def test_tables_have_keys_and_say_what_they_mean(home: Home, url: str) -> None:
    load(home, url)
    engine = sa.create_engine(url)
    schema = "livelihood" if engine.dialect.name == "postgresql" else None
    inspector = sa.inspect(engine)
    assert inspector.get_pk_constraint("safe_place", schema)["constrained_columns"] == ["place_id"]
    [foreign] = inspector.get_foreign_keys("mart_passenger_flow", schema)
    assert (foreign["constrained_columns"], foreign["referred_table"]) == (["place_id"], "safe_place")
    [unique] = inspector.get_unique_constraints("mart_passenger_flow", schema)
    assert unique["column_names"] == list(catalogue().table("mart.passenger_flow").primary_key)
    if schema:
        columns = {c["name"]: c["comment"] for c in inspector.get_columns("mart_social_security", schema)}
        assert columns["employer_cny"] == "Sum of the employers' parts [CNY]"
        assert "gate" in str(inspector.get_table_comment("mart_social_security", schema)["text"])
    engine.dispose()


def test_same_release_is_loaded_once(home: Home, url: str) -> None:
    assert load(home, url)
    [(release_id, at)] = ask(url, "SELECT release_id, loaded_at FROM {s}ronghe_release")
    assert len(release_id) == 64
    assert at
    assert not load(home, url)
    assert ask(url, "SELECT release_id, loaded_at FROM {s}ronghe_release") == [(release_id, at)]


def test_next_release_replaces_every_table(home: Home, url: str) -> None:
    load(home, url)
    write(home, "mart.passenger_flow", [{**FLOW, "in_count": 99}])
    write(home, "safe.place", [PLACE])
    assert load(home, url)
    assert ask(url, "SELECT in_count FROM {s}mart_passenger_flow") == [(99,)]
    assert ask(url, "SELECT place_id FROM {s}safe_place") == [("plc_1",)]
    assert len(ask(url, "SELECT * FROM {s}ronghe_release")) == 1


def test_table_whose_columns_changed_is_made_anew(home: Home, url: str) -> None:
    load(home, url)
    extract = small_extract()
    narrow = extract.tables[1].model_copy(
        update={"columns": (*catalogue().table("mart.social_security").primary_key, "account_count")}
    )
    assert load(home, url, extract.model_copy(update={"tables": (extract.tables[0], narrow, *extract.tables[2:])}))
    engine = sa.create_engine(url)
    schema = "livelihood" if engine.dialect.name == "postgresql" else None
    names = [c["name"] for c in sa.inspect(engine).get_columns("mart_social_security", schema)]
    engine.dispose()
    assert names == list(narrow.columns or ())
    assert ask(url, "SELECT account_count FROM {s}mart_social_security") == [(15,)]


@pytest.mark.parametrize("required", [True, False])
def test_table_whose_cells_may_be_empty_now_is_made_anew(home: Home, url: str, required: bool) -> None:
    """And so is what refers to it; `required` the other way round."""
    place = catalogue().table("safe.place")

    def known(is_required: bool) -> Catalogue:
        columns = [
            c.model_copy(update={"required": is_required}) if c.name == "place_name" else c for c in place.columns
        ]
        changed = place.model_copy(update={"columns": tuple(columns)})
        return replace(catalogue(), tables={**catalogue().tables, place.id: changed})

    load(home, url)
    extract, lake = small_extract(), Lake(home, catalogue())
    release_id = lake.rows("meta.release").to_pylist()[-1]["release_id"]
    package = home.releases / extract.id / release_id
    assert database.load(url, extract, known(not required), package, "one")
    assert database.load(url, extract, known(required), package, "two")
    engine = sa.create_engine(url)
    schema = "livelihood" if engine.dialect.name == "postgresql" else None
    [name] = [c for c in sa.inspect(engine).get_columns("safe_place", schema) if c["name"] == "place_name"]
    [foreign] = sa.inspect(engine).get_foreign_keys("mart_passenger_flow", schema)
    engine.dispose()
    assert (name["nullable"], foreign["referred_table"]) == (not required, "safe_place")
    assert len(ask(url, "SELECT * FROM {s}mart_passenger_flow")) == len(LIVELIHOOD["mart.passenger_flow"])


def test_two_extracts_of_one_database_keep_their_own_marks(home: Home, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    first = small_extract()
    second = first.model_copy(update={"id": "security", "tables": first.tables[1:2]})
    assert [load(home, url, one) for one in (first, second)] == [True, True]
    assert [load(home, url, one) for one in (first, second)] == [False, False]
    assert {row[0] for row in ask(url, "SELECT extract_id FROM ronghe_release")} == {"livelihood", "security"}


def test_table_whose_columns_stayed_keeps_its_views(home: Home, url: str) -> None:
    load(home, url)
    with sa.create_engine(url).begin() as connection:
        schema = "livelihood." if "postgresql" in url else ""
        connection.exec_driver_sql(f"CREATE VIEW {schema}mine AS SELECT in_count FROM {schema}mart_passenger_flow")
    write(home, "mart.passenger_flow", [{**FLOW, "in_count": 99}])
    assert load(home, url)
    assert ask(url, "SELECT in_count FROM {s}mine") == [(99,)]


@pytest.mark.parametrize("table", ["mart.passenger_flow", "safe.division"])
def test_failure_half_way_leaves_the_old_rows(
    table: str, home: Home, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(home, url)
    before = {t: ask(url, "SELECT * FROM {s}" + database.table_name(t) + " ORDER BY 1, 2") for t in LIVELIHOOD}
    marker = ask(url, "SELECT * FROM {s}ronghe_release")
    write(home, "mart.passenger_flow", [{**FLOW, "in_count": 99}])
    write(home, "mart.social_security", [{**SECURITY, "account_count": 99}])
    fill = database._fill

    def failing(connection: Any, target: sa.Table, *rest: Any) -> None:
        fill(connection, target, *rest)
        if target.name == database.table_name(table):
            connection.exec_driver_sql("SELECT no_such_column FROM no_such_table")

    monkeypatch.setattr(database, "_fill", failing)
    with pytest.raises(JobFailed, match="old rows stay"):
        load(home, url)
    assert {t: ask(url, "SELECT * FROM {s}" + database.table_name(t) + " ORDER BY 1, 2") for t in LIVELIHOOD} == before
    assert ask(url, "SELECT * FROM {s}ronghe_release") == marker
    monkeypatch.setattr(database, "_fill", fill)
    assert load(home, url)
    assert ask(url, "SELECT in_count FROM {s}mart_passenger_flow") == [(99,)]


def test_amount_that_sqlite_would_change_is_refused(home: Home, tmp_path: Path) -> None:
    exact = Decimal("12345678901234.57")
    write(home, "mart.social_security", [{**SECURITY, "employer_cny": exact}])
    with pytest.raises(JobFailed, match="load this extract into PostgreSQL") as error:
        load(home, f"sqlite:///{tmp_path / 'x.sqlite'}")
    assert str(exact) not in str(error.value)


def test_amount_of_sixteen_digits_is_exact_in_postgresql(home: Home, postgres: str) -> None:
    exact = Decimal("12345678901234.57")
    write(home, "mart.social_security", [{**SECURITY, "employer_cny": exact}])
    load(home, postgres)
    assert ask(postgres, "SELECT employer_cny FROM {s}mart_social_security") == [(exact,)]
    with sa.create_engine(postgres).begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA livelihood CASCADE")


def test_database_that_does_not_answer_is_told_without_its_password(home: Home) -> None:
    url = f"postgresql+psycopg://ronghe:{servers.PASSWORD}@127.0.0.1:{free_port()}/x"
    with pytest.raises(JobFailed) as error:
        load(home, url)
    assert "livelihood into its database failed (OperationalError)" in str(error.value)
    assert servers.PASSWORD not in str(error.value)


def test_address_is_the_environments_then_the_connections_then_a_file(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = catalogue().extract("livelihood")
    named = extract.model_copy(update={"connection": "city_db"})
    for name in ("RONGHE_RELEASE_URL_LIVELIHOOD", "RONGHE_CONNECTION_CITY_DB"):
        monkeypatch.delenv(name, raising=False)
    assert database.address(home, extract) == f"sqlite:///{home.releases / 'livelihood.sqlite'}"
    with pytest.raises(ContractError, match="set RONGHE_CONNECTION_CITY_DB"):
        database.address(home, named)
    declare(home, {"city_db": "sqlite:///kept", "release_livelihood": "sqlite:///own_kept"})
    assert database.address(home, named) == "sqlite:///kept"
    assert database.address(home, extract) == "sqlite:///own_kept"
    monkeypatch.setenv("RONGHE_CONNECTION_CITY_DB", "sqlite:///city")
    assert database.address(home, named) == "sqlite:///city"
    monkeypatch.setenv("RONGHE_RELEASE_URL_LIVELIHOOD", "sqlite:///own")
    assert database.address(home, named) == "sqlite:///own"


def test_loaded_at_is_an_instant(home: Home, url: str) -> None:
    load(home, url)
    [(at,)] = ask(url, "SELECT loaded_at FROM {s}ronghe_release")
    assert (at if isinstance(at, datetime) else datetime.fromisoformat(at)).year >= 2026
