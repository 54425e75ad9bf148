"""What a table's log says of it when Delta has cleaned away the write that made the rows."""

import os
import shutil
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

from ronghe import stores
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.remedies import TableDamaged
from tests.open_tables import PLACE, write

NAME = "safe.place"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    home = Home(tmp_path).make()
    write(home, NAME, [PLACE])
    return Lake(home, catalogue())


def maintained(lake: Lake, times: int) -> None:
    """Commit what changes no row, then clean the log behind it as Delta does."""
    table = DeltaTable(lake.path(NAME))
    for number in range(times):
        table.alter.set_table_properties({"ronghe.test": str(number)}, raise_if_not_exists=False)
    table.create_checkpoint()
    for commit in sorted((Path(lake.path(NAME)) / "_delta_log").glob("*.json"))[:-1]:
        commit.unlink()


def test_maintenance_makes_a_table_no_newer(lake: Lake) -> None:
    before = lake.version(NAME), lake.state(NAME)
    DeltaTable(lake.path(NAME)).alter.set_table_properties({"ronghe.test": "1"}, raise_if_not_exists=False)
    assert (lake.version(NAME), lake.state(NAME)) == before


@pytest.mark.parametrize(("hours", "is_left"), [(1, True), (49, False)])
def test_what_an_unfinished_write_left_goes_when_no_write_can_be_under_way(
    lake: Lake, hours: int, is_left: bool
) -> None:
    folder = Path(lake.path(NAME))
    [rows] = folder.glob("*.parquet")
    left, made = folder / "part-of-no-commit.parquet", time.time() - hours * 3600
    shutil.copy(rows, left)
    for path in (left, rows):
        os.utime(path, (made, made))
    stores.forget(str(folder))
    assert left.exists() == is_left
    assert lake.rows(NAME, ["place_id"]).num_rows == 1, "rows of the table went too"


def test_a_cleaned_log_leaves_a_version_and_no_two_states_alike(lake: Lake) -> None:
    first = lake.state(NAME)
    maintained(lake, 3)
    second = lake.state(NAME)
    assert lake.version(NAME) == lake.snapshot(NAME).version == 3
    write(lake.home, NAME, [PLACE, {**PLACE, "place_id": "plc_2"}])
    third = lake.state(NAME)
    maintained(lake, 3)
    assert len({first, second, third, lake.state(NAME)}) == 4


def test_a_log_without_a_commit_is_damaged_and_not_missing(lake: Lake) -> None:
    log = Path(lake.path(NAME)) / "_delta_log"
    (log / f"{0:020}.crc").touch()
    for commit in log.glob("*.json"):
        commit.unlink()
    with pytest.raises(TableDamaged, match="its log has no commit"):
        lake.rows(NAME)
