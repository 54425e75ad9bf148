"""What is due to be destroyed, told from declarations and names alone."""

from dataclasses import replace
from datetime import date

import pytest

from ronghe.contracts import Catalogue, catalogue
from ronghe.contracts.faults import find_faults
from ronghe.contracts.table import Retention
from ronghe.retention.due import day_keys, last_over

AS_OF = date(2026, 11, 22)
NAMES = ("day_2026-11-14", "day_2026-11-15", "late_2026-11-14_d1", "late_2026-11-15_d1", "purpose_x", "day_x")


@pytest.mark.parametrize(("days", "last"), [(0, date(2026, 11, 21)), (7, date(2026, 11, 14)), (30, date(2026, 10, 22))])
def test_a_window_of_n_days_is_over_when_a_later_day_was_accepted(days: int, last: date) -> None:
    assert last_over(AS_OF, days) == last


def test_keys_of_days_go_when_the_longest_window_of_their_feeds_has_closed() -> None:
    act = day_keys(catalogue(), NAMES, AS_OF)
    assert (act.until, act.keys) == (date(2026, 11, 14), ("day_2026-11-14", "late_2026-11-14_d1"))
    feed = catalogue().feed("shenzhen.swipe").model_copy(update={"lateness_days": 20})
    longer = day_keys(replace(catalogue(), feeds={**catalogue().feeds, feed.id: feed}), NAMES, AS_OF)
    assert not longer.keys


def test_every_key_of_a_past_day_goes_where_no_feed_has_days_any_more() -> None:
    act = day_keys(Catalogue(), (*NAMES, f"day_{AS_OF}"), AS_OF)
    assert act.keys == ("day_2026-11-14", "day_2026-11-15", "late_2026-11-14_d1", "late_2026-11-15_d1")


@pytest.mark.parametrize(
    ("table_id", "retention", "said"),
    [
        (
            "std.swipe",
            Retention(days=7, day_column="service_date"),
            "ends inside the lateness window of shenzhen.swipe",
        ),
        ("std.swipe", Retention(days=90, day_column="swiped_at"), "which is no date column of it"),
        ("std.swipe", Retention(days=90, day_column="no_such"), "which is no date column of it"),
        ("fused.place", Retention(days=90, day_column="place_id"), "rows of std have a retention"),
    ],
)
def test_a_retention_that_cannot_be_kept_is_refused(table_id: str, retention: Retention, said: str) -> None:
    table = catalogue().table(table_id).model_copy(update={"retention": retention})
    assert any(
        said in fault for fault in find_faults(replace(catalogue(), tables={**catalogue().tables, table_id: table}))
    )
