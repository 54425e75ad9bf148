"""The feed of pipe segments: CSV in GB18030, every week the whole stock of water, gas, drainage and heat pipes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from ronghe.simulate.defects import Fault, choose, duplicates, quarantined, set_field
from ronghe.simulate.delimited import as_delimited
from ronghe.simulate.delivery import Entry, Feed, Sorter, Window
from ronghe.simulate.divisions import NANJING, NANJING_DISTRICTS, nanjing_today, recorded_in_nanjing
from ronghe.simulate.files import write_atomically
from ronghe.simulate.identity import USCC_ALPHABET, break_check
from ronghe.simulate.organisations import Registrar, employers
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.text import canonical, full_width, spell_code
from ronghe.simulate.truth import TruthLog

FEED = Feed("nanjing", "pipe_asset", "gwpc", "csv")
COLUMNS = (
    *("管段编号", "管网类型", "材质", "管径毫米", "长度米", "敷设年份", "所在区划", "起点经度", "起点纬度"),
    *("终点经度", "终点纬度", "权属单位信用代码", "普查日期"),
)
_CODE, _MATERIAL, _DIAMETER, _LENGTH, _YEAR, _DIVISION, _OWNER = 0, 2, 3, 4, 5, 6, 11
FREQUENCY_DAYS = 7


@dataclass(frozen=True)
class Network:
    """A kind of network: code, spellings, prefix of its segments, share, materials as written, diameters in mm."""

    code: str
    spellings: tuple[str, ...]
    prefix: str
    share: float
    materials: tuple[str, ...]
    diameters: tuple[int, ...]


NETWORKS = (
    Network("water_pipe", ("供水", "供水", "给水"), "GS", 40, ("球墨铸铁", "PE", "铸铁", "钢管"), (100, 200, 300, 600)),
    Network("gas_pipe", ("燃气", "天然气"), "RQ", 25, ("PE", "钢管", "聚乙烯"), (63, 110, 160, 315)),
    Network("drainage_pipe", ("排水",), "PS", 28, ("混凝土", "砼", "UPVC", "PE"), (300, 500, 800, 1200)),
    Network("heat_pipe", ("供热", "热力"), "RL", 7, ("钢管",), (80, 150, 300)),
)
_MATERIALS = {
    **{"球墨铸铁": "ductile_iron", "铸铁": "cast_iron", "钢管": "steel", "混凝土": "concrete", "砼": "concrete"},
    **{"PE": "polyethylene", "聚乙烯": "polyethylene", "UPVC": "polyvinyl_chloride"},
}
_SEGMENTS = 8000
# So many that the few defects of a small run leave each delivery fit to be accepted.
_FEWEST = 100
_RENEWED_SHARE, _NEW_SHARE = 0.01, 0.005
_KNOWN_OWNERS, _OTHER_OWNERS = 5, 3


@dataclass(frozen=True)
class Segment:
    """A segment of pipe as the stock lists it; `division` may be a code given up since."""

    code: str
    network: Network
    material: str
    diameter: int
    length: str
    year: int
    division: str
    ends: tuple[float, float, float, float]
    owner: str

    @property
    def today(self) -> str:
        """The division that covers the place today."""
        return nanjing_today(self.division)


def write_pipe_assets(window: Window, log: TruthLog) -> None:
    """Write a file per week and note its truth."""
    days = window.days[::FREQUENCY_DAYS]
    rng = stream(window.seed, "pipe asset rows")
    stocks = _stocks(window, days)
    deliveries = [[_row(segment, day, rng) for segment in stock] for day, stock in zip(days, stocks, strict=True)]
    sizes = [len(rows) for rows in deliveries]
    picks = choose(_faults(), sizes, window.factor, vector_stream(window.seed, "pipe asset defects"))
    sorter = Sorter(sizes, rng)
    latest: dict[str, Segment] = {}
    for number, day in enumerate(days):
        known = {segment.code: segment for segment in stocks[number]}
        for index, row in enumerate(deliveries[number]):
            sorter.put(number, index, row, picks[number].get(index))
        entries = sorter.take(number)
        write_atomically(window.landing / FEED.path(day), as_delimited(COLUMNS, entries, ","))
        log.add_delivery(FEED, day, entries)
        latest.update((code, known[code]) for code in _accepted_codes(entries))
    log.add_facts("assets", (_as_truth(segment) for _, segment in sorted(latest.items())))


def first_stock(window: Window) -> list[Segment]:
    """Return the segments as the first snapshot has them."""
    rng, owners = stream(window.seed, "pipe segments"), _owners(window)
    return [_draw_segment(number, owners, rng) for number in range(max(_FEWEST, round(_SEGMENTS * window.scale)))]


def _owners(window: Window) -> list[str]:
    """Return the codes of the owners: some insure people in the city, the others nobody else knows."""
    local = [found.uscc for found in employers(window.seed, window.scale, window.days[0]) if found.uscc[2:4] == "32"]
    rng = stream(window.seed, "pipe owners")
    registrar = Registrar(rng)
    return rng.sample(local, _KNOWN_OWNERS) + [
        registrar.company(NANJING, "南京", "江苏").uscc for _ in range(_OTHER_OWNERS)
    ]


def _draw_segment(number: int, owners: Sequence[str], rng: random.Random) -> Segment:
    network = rng.choices(NETWORKS, [network.share for network in NETWORKS])[0]
    today = rng.choices(list(NANJING), list(NANJING.values()))[0]
    district = NANJING_DISTRICTS[today]
    x, y = district.longitude + rng.uniform(-0.08, 0.08), district.latitude + rng.uniform(-0.06, 0.06)
    return Segment(
        code=f"{network.prefix}-{today}-{number:06d}",
        network=network,
        material=rng.choice(network.materials),
        diameter=rng.choice(network.diameters),
        length=f"{rng.uniform(8, 400):.2f}",
        year=rng.randint(1962, 2025),
        division=recorded_in_nanjing(today, rng),
        ends=(x, y, x + rng.uniform(-0.002, 0.002), y + rng.uniform(-0.002, 0.002)),
        owner=rng.choice(owners),
    )


def _stocks(window: Window, days: Sequence[date]) -> list[list[Segment]]:
    """Return the stock at each snapshot: from week to week a few segments are renewed and a few are new."""
    rng, owners = stream(window.seed, "pipe stock"), _owners(window)
    stocks = [first_stock(window)]
    for day in days[1:]:
        stock = [
            replace(segment, year=day.year, length=f"{float(segment.length) * rng.uniform(0.98, 1.05):.2f}")
            if rng.random() < _RENEWED_SHARE
            else segment
            for segment in stocks[-1]
        ]
        count = max(1, round(len(stock) * _NEW_SHARE))
        new = [replace(_draw_segment(len(stock) + n, owners, rng), year=day.year) for n in range(count)]
        stocks.append(stock + new)
    return stocks


def _row(segment: Segment, day: date, rng: random.Random) -> list[str]:
    return [
        spell_code(segment.code, rng, odd=0.02),
        rng.choice(segment.network.spellings),
        segment.material,
        str(segment.diameter),
        segment.length,
        str(segment.year),
        full_width(segment.division) if rng.random() < 0.01 else segment.division,
        *(f"{degrees:.6f}" for degrees in segment.ends),
        spell_code(segment.owner, rng, odd=0.02),
        day.isoformat(),
    ]


def _faults() -> list[Fault]:
    def bad_owner(row: list[str], _day: int, _rng: random.Random) -> None:
        row[_OWNER] = break_check(canonical(row[_OWNER]).upper(), USCC_ALPHABET)

    return [
        *duplicates(within=60, resent=30),
        quarantined("unknown_material", "code:material_code", 40, set_field(_MATERIAL, "竹管")),
        quarantined("unknown_division", "code:division_code", 40, set_field(_DIVISION, "329999")),
        quarantined("no_diameter", "range:diameter_mm", 40, set_field(_DIAMETER, "0")),
        quarantined("bad_length", "format:length_m", 40, set_field(_LENGTH, "约50")),
        quarantined("year_typed_twice", "range:built_year", 40, set_field(_YEAR, "20052005")),
        quarantined("bad_owner", "check:owner_uscc", 40, bad_owner),
        quarantined("empty_code", "required:asset_code", 20, set_field(_CODE, "")),
    ]


def _accepted_codes(entries: Sequence[Entry]) -> list[str]:
    return [canonical(entry.row[_CODE]).upper() for entry in entries if entry.accepted]


def _as_truth(segment: Segment) -> dict[str, object]:
    """Return what the truth says of the asset: its newest accepted state."""
    return {
        "asset_kind_code": segment.network.code,
        "asset_code": segment.code,
        "material_code": _MATERIALS[segment.material],
        "diameter_mm": segment.diameter,
        "length_m": segment.length,
        "built_year": segment.year,
        "division_code": segment.division,
        "current_division_code": segment.today,
        "owner_uscc": segment.owner,
    }
