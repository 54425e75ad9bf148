"""Every feed has a sample case, every case a feed; what the cases come to is tested in tests/spark/test_samples.py."""

from pathlib import Path

import pytest

from ronghe.contracts import catalogue
from ronghe.ingest import deliveries, records
from ronghe.ingest.deliveries import discover
from ronghe.ingest.records import open_records
from tests.samples.build import Case, cases

CASES = cases()


def test_every_feed_has_a_sample_case_and_every_case_a_feed() -> None:
    assert {case.feed_id for case in CASES} == set(catalogue().feeds)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_is_complete(case: Case) -> None:
    assert sorted(path.stem for path in case.folder.iterdir()) == ["expected", "input"]
    assert set(case.expected()) == {"business_date", "accepted", "quarantined", "deduplicated"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_says_the_fate_of_every_record_once(case: Case, tmp_path: Path) -> None:
    feed = catalogue().feed(case.feed_id)
    path = case.deliver(feed, tmp_path)
    batches = open_records(path, feed.reader, feed.column_names, feed.refuse)
    read = [number for batch in batches for number in batch["record_number"].to_pylist()]
    expected = case.expected()
    accepted = [row["record_number"] for row in expected["accepted"]]
    assert sorted([*accepted, *expected["quarantined"], *expected["deduplicated"]]) == read


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_expects_columns_the_target_has(case: Case) -> None:
    target = catalogue().table(catalogue().feed(case.feed_id).target)
    assert {name for row in case.expected()["accepted"] for name in row} <= set(target.column_names)


LOOKS = {"xlsx": records.WORKBOOK, "parquet": records.PARQUET}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_is_delivered_in_the_feeds_own_form(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "SETTLE_SECONDS", 0.0)
    feed = catalogue().feed(case.feed_id)
    path = case.deliver(feed, tmp_path)
    [found] = discover(feed, tmp_path)
    assert (found.path, found.business_date) == (str(path.relative_to(tmp_path)), case.expected()["business_date"])
    if feed.reader.member:
        assert records.looks_like(path) == records.WORKBOOK
    elif path.suffix == ".gz":
        assert records.looks_like(path) == records.GZIP
    elif feed.reader.format in LOOKS:
        assert records.looks_like(path) == LOOKS[feed.reader.format]
    else:
        assert feed.column_names[0].split(".")[0] in path.read_text(feed.reader.encoding)
        if feed.reader.encoding.lower().replace("-", "") != "utf8":
            with pytest.raises(UnicodeDecodeError):
                path.read_text("utf-8")
