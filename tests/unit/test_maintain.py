"""Tables are kept small one by one: what goes wrong with one holds back no other, and a conflict is tried again."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jobs import maintain_lake
from ronghe import upkeep
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import DataStopped
from ronghe.lake import Lake
from ronghe.remedies import TableDamaged

TABLES = ("safe.place", "safe.division", "mart.passenger_flow")


class Engine:
    """An engine that notes what it is told, and refuses what it is told to refuse as often as it is told."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.refused: dict[str, list[Exception]] = {}

    def sql(self, statement: str) -> Any:
        for part, errors in self.refused.items():
            if part in statement and errors:
                raise errors.pop()
        self.done.append(f"{statement.split()[0]} {statement.split('/')[-1].strip('`')}")
        return SimpleNamespace(collect=list)


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def ctx(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Any:
    lake = Lake(Home(tmp_path), catalogue(), engine)  # type: ignore[arg-type]
    monkeypatch.setattr(Lake, "exists", lambda _, table_id: table_id in TABLES)
    monkeypatch.setattr(upkeep.Upkeep._alter.retry, "sleep", lambda _: None)  # type: ignore[attr-defined]
    return SimpleNamespace(lake=lake, catalogue=catalogue())


def both(*names: str) -> list[str]:
    return sorted(f"{verb} {name}" for verb in ("OPTIMIZE", "VACUUM") for name in names)


def test_every_table_that_is_there_is_maintained(ctx: Any, engine: Engine) -> None:
    assert maintain_lake.run(ctx) == 3
    assert sorted(engine.done) == both("place", "division", "passenger_flow")


def test_a_damaged_table_holds_back_no_other(ctx: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def exists(_: Lake, table_id: str) -> bool:
        if table_id == "safe.division":
            raise TableDamaged(table_id, "its log cannot be read")
        return table_id in TABLES

    monkeypatch.setattr(Lake, "exists", exists)
    engine.refused["/place"] = [ValueError("a row")]
    with pytest.raises(ValueError, match="a row"):
        maintain_lake.run(ctx)
    assert sorted(engine.done) == both("passenger_flow")
    with pytest.raises(DataStopped, match=r"safe\.division is damaged"):
        maintain_lake.run(ctx)
    assert sorted(set(engine.done)) == both("place", "passenger_flow")


def test_a_conflict_is_tried_again(ctx: Any, engine: Engine) -> None:
    engine.refused["OPTIMIZE"] = [RuntimeError("[DELTA_CONCURRENT_APPEND.WITHOUT_HINT] a job was quicker")]
    assert maintain_lake.run(ctx) == 3
    assert engine.refused["OPTIMIZE"] == []
