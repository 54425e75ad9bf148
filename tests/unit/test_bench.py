"""What the benchmarks conclude from rows and times."""

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench import report
from bench.agree import Disagreement, compare
from bench.chains import Run
from bench.meter import Cost
from bench.results import Results

ROWS = [{"id": "a", "share": 0.1}, {"id": "a", "share": 0.1}, {"id": "b", "share": None}]


def _file(path: Path, rows: list[dict[str, object]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([("id", pa.string()), ("share", pa.float64())])), path)
    return path


def _compare(folder: Path, rows: list[dict[str, object]]) -> int:
    return compare("t", [str(_file(folder / "ours", ROWS))], _file(folder / "twin", rows), ("id", "share"))


def test_rows_agree_in_another_order_and_to_seven_decimals(tmp_path: Path) -> None:
    assert _compare(tmp_path, [ROWS[2], {"id": "a", "share": 0.1 + 1e-12}, ROWS[0]]) == 3


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS[1:], "3 rows of ours, 2"),
        ([ROWS[0], ROWS[2], ROWS[2]], "id"),
        ([ROWS[0], ROWS[1], {"id": "b", "share": 0.0}], "share"),
    ],
    ids=["missing", "other", "no_longer_null"],
)
def test_a_difference_of_one_row_is_told(tmp_path: Path, rows: list[dict[str, object]], said: str) -> None:
    with pytest.raises(Disagreement, match=said):
        _compare(tmp_path, rows)


def _results() -> Results:
    runs = [
        Run("fuse", n, {}, [Cost(2.0 + n / 1000, 4, 100), Cost(9_999, 4, 120)], [Cost(0.5 + n / 1000, 2, 10)])
        for n in (2_000, 100_000, 1_000_000)
    ]
    runs[0].ours = [Cost(2.0, 1, 1), Cost(3.0, 1, 1)]
    return Results(2, 0.1, 2_000, runs)


def test_growth_is_without_the_fixed_part() -> None:
    growth = _results().growth("fuse")
    assert growth is not None
    assert math.isclose(growth, 1.0, abs_tol=1e-9)


def test_figures_survive_their_file_and_fill_the_page(tmp_path: Path) -> None:
    file, page = tmp_path / "results.json", tmp_path / "benchmarks.md"
    _results().write(file)
    found = Results.read(file)
    assert found == _results()
    page.write_text((Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text("utf-8"), "utf-8")
    report.write(found, page)
    report.write(found, page)
    text = page.read_text("utf-8")
    assert text.count("| fuse | 1,000,000 |") == 1
    assert "| fuse, by DuckDB's time | <= 6 | 1.0 at 0.1 M, 1.0 at 1 M |" in text


def test_what_is_measured_anew_takes_the_place_of_what_is_kept() -> None:
    now = Results(2, 0.0, 2_000)
    now.keep(_results())
    now.put_runs([Run("fuse", 100_000, {}, [Cost(1.0, 1, 1)], [Cost(1.0, 1, 1)])])
    assert [(run.records, run.ours[0].seconds) for run in now.of("fuse")] == [(100_000, 1.0), (1_000_000, 1002.0)]
