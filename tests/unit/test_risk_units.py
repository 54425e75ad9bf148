"""The 63 units: 31 provincial regions, 27 capitals and 5 cities with separate planning, under their names of today."""

import pytest

from ronghe.contracts import catalogue
from ronghe.contracts.catalogue import builtin_folder
from ronghe.contracts.codeset import divisions
from ronghe.risk.measure import CITY, REGION, Unit, units
from ronghe.risk.sheet import method_sheet
from ronghe.simulate.regions import areas
from ronghe.simulate.regions import units as simulated

MUNICIPALITIES = {"110000", "120000", "310000", "500000"}
NOT_RANKED = {"710000", "810000", "820000"}
SEPARATELY_PLANNED = {
    "210200": "大连市",
    "330200": "宁波市",
    "350200": "厦门市",
    "370200": "青岛市",
    "440300": "深圳市",
}
CAPITALS = {
    *("石家庄", "太原", "呼和浩特", "沈阳", "长春", "哈尔滨", "南京", "杭州", "合肥", "福州", "南昌", "济南", "郑州"),
    *(
        "武汉",
        "长沙",
        "广州",
        "南宁",
        "海口",
        "成都",
        "贵阳",
        "昆明",
        "拉萨",
        "西安",
        "兰州",
        "西宁",
        "银川",
        "乌鲁木齐",
    ),
}


@pytest.fixture(scope="module")
def ranked() -> dict[str, Unit]:
    return {unit.code: unit for unit in units(catalogue(), catalogue().index("cyber"))}


def test_regions_are_the_provinces_in_force_on_the_mainland(ranked: dict[str, Unit]) -> None:
    in_force = {d.code for d in divisions() if d.level == "province" and d.valid_to is None}
    regions = {unit.code for unit in ranked.values() if unit.tier == REGION}
    assert regions == in_force - NOT_RANKED
    assert len(regions) == 31


def test_cities_are_the_capitals_and_the_separately_planned(ranked: dict[str, Unit]) -> None:
    cities = {unit.code: unit.name for unit in ranked.values() if unit.tier == CITY}
    assert len(cities) == 32
    assert {code: cities.pop(code) for code in SEPARATELY_PLANNED} == SEPARATELY_PLANNED
    assert {name.removesuffix("市") for name in cities.values()} == CAPITALS
    provinces = {unit.code for unit in ranked.values() if unit.tier == REGION}
    assert {f"{code[:2]}0000" for code in cities} == provinces - MUNICIPALITIES


def test_names_are_those_of_the_packaged_divisions(ranked: dict[str, Unit]) -> None:
    names = {d.code: d.name for d in divisions() if d.valid_to is None}
    assert {code: unit.name for code, unit in ranked.items()} == {code: names[code] for code in ranked}


def test_every_region_has_its_iso_code_once() -> None:
    spellings = dict(catalogue().codeset("risk_unit").spellings())
    iso = {spelling: code for spelling, code in spellings.items() if spelling.startswith("CN-")}
    assert len(iso) == len(set(iso.values())) == 31
    # Two pairs that are easily mixed up.
    assert [iso[f"CN-{letters}"] for letters in ("SX", "SN", "HA", "HI")] == ["140000", "610000", "410000", "460000"]


def test_simulated_units_are_the_declared_ones(ranked: dict[str, Unit]) -> None:
    assert {unit.code: unit.name for unit in simulated(1)} == {code: unit.name for code, unit in ranked.items()}


def test_a_provinces_true_risk_lies_among_those_of_its_areas() -> None:
    true = {unit.code: unit for unit in simulated(1)}
    for province in {area.province for area in areas(1)}:
        own = [area.risk for area in areas(1) if area.province == province]
        assert min(own) - 1e-9 <= true[province].risk <= max(own) + 1e-9
    assert sum(area.silent for area in areas(1)) == 1


def test_method_sheet_is_the_declarations() -> None:
    """Write it again with `make docs`."""
    assert (builtin_folder() / "docs" / "risk-index.md").read_text("utf-8") == method_sheet(catalogue())
