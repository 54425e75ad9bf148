"""The pages about quality, on tables that delta-rs wrote: what they say, and what they must not."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ronghe.contracts import catalogue
from ronghe.contracts.expectations import Expectation
from ronghe.home import Home
from ronghe.lake import Lake
from ronghe.quality import report
from ronghe.quality.words import in_words

FOUND = catalogue()
STD, MART = "std.swipe", "mart.passenger_flow"
AT = datetime(2026, 11, 23, 4, 5, tzinfo=UTC)
FEED = next(feed for feed in FOUND.feeds.values() if feed.target == STD)


def quality(table_id: str, scope: str, state: str, rows: int, broken: int = 0, hour: int = 4) -> list[dict[str, Any]]:
    """A judgement in which the last check of rows breaks so often, where it is asked to."""
    checks = FOUND.expectations(table_id)
    worst = next(c for c in checks if c.expectation == "ExpectColumnValuesToNotBeNull")
    return [
        {
            "table_name": table_id,
            "state": state,
            "check_id": c.check_id,
            "scope": scope,
            "expectation": c.expectation,
            "column_name": c.kwargs.get("column"),
            "severity_code": c.severity,
            "is_success": not (broken and c == worst),
            "element_count": rows,
            "unexpected_count": broken if c == worst else 0,
            "unexpected_pct": 100 * broken / rows if c == worst else 0.0,
            "observed_number": float(rows) if "RowCount" in c.expectation else None,
            "contract_version": "1.0.0",
            "recorded_at": AT.replace(hour=hour),
        }
        for c in checks
    ]


def delivered(name: str, day: date, event: str, accepted: int = 0, quarantined: int = 0) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(FOUND.table("meta.delivery").column_names, "x")
    counts = {"accepted_count": accepted, "deduplicated_count": 0, "quarantined_count": quarantined, "read_count": 1}
    return (
        row
        | counts
        | {
            "delivery_id": name,
            "business_date": day,
            "event_code": event,
            "feed_id": FEED.id,
            "byte_count": 1,
            "recorded_at": AT,
        }
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    home = Home(tmp_path).make()
    trail = quality(STD, "d1 d2", "s1", 21478, broken=3) + quality(MART, "version 1", "m1", 489, broken=12)
    trail += quality(MART, "version 2", "m2", 523, hour=5)
    days = {"d1": date(2026, 11, 1), "d2": date(2026, 11, 2)}
    ledger = [delivered(n, day, "landed") for n, day in days.items()]
    ledger += [delivered("d1", days["d1"], "accepted", 9876, 4), delivered("d2", days["d2"], "stopped", 500, 1234)]
    ledger += [delivered("d0", days["d2"], "superseded")]
    held = [{"delivery_id": "d2", "feed_id": FEED.id, "reasons": "torn"}] * 1234
    held += [{"delivery_id": "d1", "feed_id": FEED.id, "reasons": "code:x torn"}] * 4
    held += [{"delivery_id": "d0", "feed_id": FEED.id, "reasons": "torn"}] * 900
    for name, rows in (("quality", trail), ("delivery", ledger), ("quarantine", held)):
        write_deltalake(str(home.restricted_lake / "meta" / name), pa.Table.from_pylist(rows))
    return Lake(home, FOUND)


def pages(lake: Lake) -> dict[str, str]:
    index = report.write_pages(lake)
    return {path.name: path.read_text("utf-8") for path in index.parent.iterdir()}


def test_there_is_a_page_for_each_judged_table_and_an_index(lake: Lake) -> None:
    found = pages(lake)
    assert set(found) == {"index.html", f"{STD}.html", f"{MART}.html"}
    for name in (f"{STD}.html", f"{MART}.html"):
        assert f'href="{name}"' in found["index.html"]


def test_page_shows_every_check_and_every_column_with_its_grade(lake: Lake) -> None:
    text = pages(lake)[f"{STD}.html"]
    for check in FOUND.expectations(STD):
        assert f">{check.expectation}</code>" in text
    for column in FOUND.table(STD).columns:
        assert f"<code>{column.name}</code>" in text
        assert FOUND.elements[column.element].name_zh in text
    assert FOUND.table(STD).title_zh in text


def test_counts_of_the_restricted_half_are_rounded_and_those_of_the_open_half_exact(lake: Lake) -> None:
    found = pages(lake)
    std = found[f"{STD}.html"]
    assert "≈ 21,000" in std
    assert "under 10" in std
    assert not re.search(r"21,?478|9,?876|1,?23[48]|10,?380", std + found["index.html"])
    assert "≈ 1,200" in found["index.html"]
    assert "523" in found[f"{MART}.html"]


def test_no_share_tells_how_many_few_are(lake: Lake) -> None:
    """3 of 21,478 rows break a check, and 4 of 9,880 records of a day are in quarantine."""
    page = next(page for page in report.gather(lake)[0] if page.table.id == STD)
    assert {line.broken for line in page.lines} - {"", "0"} == {"under 10"}
    assert [point.said for point in page.trend] == ["under 10 records", "71 %, a delivery was stopped"]
    assert page.trend[0].height == 0


@pytest.mark.parametrize(
    ("value", "rows", "shown"),
    [(0.992, 120, "all but under 10"), (0.01, 120, "under 10"), (1.0, 120, "100 %"), (0.75, 120, "75 %")],
)
def test_no_proportion_tells_how_many_few_are(value: float, rows: int, shown: str) -> None:
    check = Expectation(expectation="ExpectColumnProportionOfNonNullValuesToBeBetween", kwargs={"column": "x"})
    assert report._observed(check, value, FOUND.table(STD), rows) == shown
    assert report._observed(check, 0.992, FOUND.table(MART), rows) == "99 %"


def test_records_of_a_restated_delivery_are_held_back_no_more(lake: Lake) -> None:
    assert [(held.reason, held.records) for held in report.gather(lake)[1]] == [
        ("torn", "≈ 1,200"),
        ("code:x", "under 10"),
    ]


def test_outcome_is_that_of_the_newest_judgement_and_the_trend_keeps_the_older(lake: Lake) -> None:
    by_table = {page.table.id: page for page in report.gather(lake)[0]}
    assert by_table[STD].outcome == "stop"
    assert by_table[MART].outcome == "passed"
    assert [(p.label, p.outcome) for p in by_table[MART].trend] == [("version 1", "stop"), ("version 2", "passed")]
    assert [(p.label, p.outcome) for p in by_table[STD].trend] == [("2026-11-01", "passed"), ("2026-11-02", "stop")]
    assert by_table[STD].scope == "2 deliveries of 2026-11-01 … 2026-11-02"
    assert by_table[STD].judged_at == "2026-11-23 04:05 UTC"


def test_equal_tables_give_equal_bytes_and_pages_of_lost_tables_go(lake: Lake) -> None:
    first = pages(lake)
    (lake.home.docs / "quality" / "mart.gone.html").write_text("old", "utf-8")
    assert pages(lake) == first


def test_pages_need_no_network_and_no_scripts(lake: Lake) -> None:
    for text in pages(lake).values():
        assert not re.search(r"<script|<link|https?://|@import|url\(|<img", text)
        assert text.count("<h1") == 1
        assert 'lang="en"' in text


def test_empty_lake_makes_an_index(tmp_path: Path) -> None:
    assert "No record is held back" in pages(Lake(Home(tmp_path).make(), FOUND))["index.html"]


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0"),
        (1, "under 10"),
        (9, "under 10"),
        (10, "≈ 10"),
        (57, "≈ 60"),
        (99, "≈ 100"),
        (104, "≈ 100"),
        (21478, "≈ 21,000"),
    ],
)
def test_coarse_counts(count: int, shown: str) -> None:
    assert report.coarse(count) == shown


# Checks in words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expectation", "kwargs", "words"),
    [
        ("ExpectColumnValuesToBeBetween", {"min_value": 0, "max_value": None}, "is at least 0"),
        ("ExpectColumnValuesToBeBetween", {"min_value": 1, "max_value": 100.5}, "is from 1 to 100.5"),
        (
            "ExpectColumnProportionOfNonNullValuesToBeBetween",
            {"min_value": 0.95},
            "is there in at least 95 % of the rows",
        ),
        (
            "ExpectColumnValuesToNotBeNull",
            {"row_condition": {"type": "nullity", "column": {"name": "b"}, "is_null": True}, "mostly": 0.9},
            "is never missing where b is missing, in at least 90 % of the rows",
        ),
        (
            "ExpectColumnKLDivergenceToBeLessThan",
            {"threshold": 1},
            "column k l divergence to be less than: threshold 1",
        ),
    ],
)
def test_check_in_words(expectation: str, kwargs: dict[str, Any], words: str) -> None:
    assert in_words(Expectation(expectation=expectation, kwargs={"column": "a", **kwargs})) == words


def test_every_check_there_is_has_words() -> None:
    for table_id, table in FOUND.tables.items():
        if table.layer in ("std", "safe", "mart"):
            for check in FOUND.expectations(table_id):
                assert ": min_value" not in in_words(check), check.expectation
