"""From counted cells to scores and ranks, over a small index of three indicators."""

from datetime import date
from typing import Any

import pytest

from ronghe.contracts.index import RiskIndex
from ronghe.risk import build
from ronghe.risk.measure import CITY, REGION, Cell, Unit

SUNDAY = date(2026, 11, 22)
UNITS = [Unit("110000", "北京市", REGION), Unit("120000", "天津市", REGION), Unit("130000", "河北省", REGION)]
UNITS += [Unit("320100", "南京市", CITY)]


def index(**changed: Any) -> RiskIndex:
    def indicator(code: str, family: str, **known: Any) -> dict[str, Any]:
        common = {"name_zh": code, "name_en": code, "direction": 1, "weight": 1, "unit": "1", "source": "s"}
        common |= {"numerator": "sum(n)", "denominator": "count(*)", "reference": "none"}
        return {"code": code, "family": family, "goalposts": {"minimum": 0, "maximum": 10}, **common, **known}

    def family(code: str, side: str) -> dict[str, Any]:
        return {"code": code, "name_zh": code, "name_en": code, "side": side, "weight": 1}

    declared = {
        "id": "small",
        "name_zh": "小",
        "name_en": "Small",
        "version": "1.0.0",
        "units": "risk_unit",
        "decimals": 1,
        "minimum_availability": 0.6,
        "rank_interval": {"draws": 50, "weight_change": 0.25, "seed": 1},
        "sources": [{"name": "s", "tables": ["std.swipe"], "regions": "units", "sql": "SELECT 1"}],
        "families": [family("exposure", "pressure"), family("defence", "capacity")],
        "indicators": [
            indicator("open", "exposure"),
            indicator("old", "exposure", weight=3),
            indicator("patched", "defence", direction=-1),
        ],
    }
    return RiskIndex.model_validate(declared | changed)


def cells(values: dict[str, tuple[float | None, ...]], coverage: float | None = None) -> list[Cell]:
    names = ("open", "old", "patched")
    return [
        Cell(SUNDAY, unit, name, value, 1.0, coverage)
        for unit, found in values.items()
        for name, value in zip(names, found, strict=True)
        if value is not None
    ]


VALUES = {"110000": (0.0, 10.0, 0.0), "120000": (10.0, 0.0, 10.0), "130000": (5.0, 5.0, 5.0), "320100": (1.0, 1.0, 9.0)}


def scores(found: list[Cell], declared: RiskIndex | None = None) -> dict[str, dict[str, Any]]:
    return {row["unit_code"]: row for row in build.rows(declared or index(), UNITS, found)[1]}


def test_scores_are_weighted_means_of_families_and_sides_stand_apart() -> None:
    found = scores(cells(VALUES))
    # Exposure: (1 * 1 + 3 * 100) / 4; defence: nothing is patched.
    assert found["110000"]["exposure_score"] == 75.2
    assert found["110000"]["defence_score"] == 100
    assert found["110000"]["score"] == pytest.approx(87.6)
    assert (found["110000"]["pressure_score"], found["110000"]["capacity_gap_score"]) == (75.2, 100)
    assert found["130000"]["score"] == 50.5


def test_units_are_ranked_in_their_tier_and_highest_risk_first() -> None:
    found = scores(cells(VALUES))
    assert {unit: row["rank"] for unit, row in found.items()} == {"110000": 1, "130000": 2, "120000": 3, "320100": 1}


def test_equal_scores_share_a_rank() -> None:
    same = VALUES | {"120000": VALUES["110000"]}
    assert [scores(cells(same))[unit]["rank"] for unit in ("110000", "120000", "130000")] == [1, 1, 3]


def test_rank_lies_in_its_interval_and_leaving_an_indicator_out_widens_it() -> None:
    close = VALUES | {"110000": (10.0, 4.0, 5.0), "130000": (0.0, 6.0, 5.0)}
    found = scores(cells(close))
    for row in found.values():
        assert row["rank_low"] <= row["rank"] <= row["rank_high"]
    assert (found["110000"]["rank_low"], found["110000"]["rank_high"]) == (1, 2)
    assert (found["320100"]["rank_low"], found["320100"]["rank_high"]) == (1, 1)


def test_missing_cell_is_imputed_flagged_and_counted() -> None:
    gap = VALUES | {"110000": (None, 10.0, 0.0)}
    indicators, week = build.rows(index(), UNITS, cells(gap))
    cell = next(row for row in indicators if (row["unit_code"], row["indicator_code"]) == ("110000", "open"))
    assert cell["raw_value"] is None
    assert (cell["used_value"], cell["is_imputed"]) == (7.5, True)
    assert sum(row["is_imputed"] for row in indicators) == 1
    assert (week[0]["indicator_count"], week[0]["imputed_share"]) == (2, pytest.approx(1 / 3))
    assert week[0]["is_ranked"]


def test_unit_with_too_few_indicators_has_a_score_and_no_rank_and_takes_none_away() -> None:
    found = scores(cells(VALUES | {"110000": (None, 10.0, None)}))
    assert (found["110000"]["is_ranked"], found["110000"]["rank"], found["110000"]["rank_low"]) == (False, None, None)
    assert found["110000"]["score"] is not None
    assert found["130000"]["rank"] == 1


def test_thin_coverage_counts_as_missing_and_stays_visible() -> None:
    declared = index().model_dump(mode="json")
    declared["indicators"][0] |= {"coverage": "avg(x)", "minimum_coverage": 0.5}
    thin = RiskIndex.model_validate(declared)
    found = [
        *cells(VALUES),
        Cell(SUNDAY, "110000", "open", 3.0, 1.0, 0.4),
        Cell(SUNDAY, "120000", "open", 3.0, 1.0, 0.5),
    ]
    rows = {r["unit_code"]: r for r in build.rows(thin, UNITS, found)[0] if r["indicator_code"] == "open"}
    assert (rows["110000"]["raw_value"], rows["110000"]["coverage_share"]) == (None, 0.4)
    assert rows["110000"]["is_imputed"]
    assert rows["120000"]["raw_value"] == 3


def test_value_beyond_a_goalpost_is_flagged() -> None:
    indicators, _ = build.rows(index(), UNITS, cells(VALUES | {"110000": (12.0, 10.0, -1.0)}))
    flagged = {(row["unit_code"], row["indicator_code"]) for row in indicators if row["is_clamped"]}
    assert flagged == {("110000", "open"), ("110000", "patched")}


def test_indicator_nobody_was_measured_by_moves_no_score() -> None:
    without = {unit: (None, *values[1:]) for unit, values in VALUES.items()}
    found = scores(cells(without))
    assert found["110000"]["exposure_score"] == 100
    assert found["110000"]["indicator_count"] == 2


def test_same_cells_give_the_same_rows_in_any_order() -> None:
    found = cells(VALUES)
    assert build.rows(index(), UNITS, found) == build.rows(index(), UNITS, found[::-1])
