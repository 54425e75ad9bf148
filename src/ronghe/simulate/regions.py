"""The simulated nation: regions and cities, how large they are, and the risk that drives what is seen of them."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from ronghe.contracts.codeset import divisions
from ronghe.simulate.delivery import Window
from ronghe.simulate.randomness import vector_stream
from ronghe.simulate.truth import TruthLog

_NOT_RANKED = ("71", "81", "82")
_MUNICIPALITIES = ("11", "12", "31", "50")
_SEPARATELY_PLANNED = ("210200", "330200", "350200", "370200", "440300")
# Few systems, and so few events of any kind: Tibet, Qinghai, Ningxia and Hainan.
_SMALL = ("54", "63", "64", "46")
_NOISE = 0.06


@dataclass(frozen=True)
class Area:
    """A city, or what is left of a province without its cities.

    `weight` is its share of systems, relative to the others; `risk` lies between 0 and 1. A silent area has no sensor
    and answers no survey.
    """

    code: str
    name: str
    weight: float
    risk: float
    silent: bool

    @property
    def province(self) -> str:
        """The province the area is in, or is."""
        return f"{self.code[:2]}0000"


def _names() -> dict[str, str]:
    """Return the ranked provinces and cities by code."""
    found = {d.code: d.name for d in divisions() if d.valid_to is None and d.code[:2] not in _NOT_RANKED}
    provinces = [code for code in found if code.endswith("0000")]
    capitals = [f"{code[:2]}0100" for code in provinces if code[:2] not in _MUNICIPALITIES]
    return {code: found[code] for code in sorted({*provinces, *capitals, *_SEPARATELY_PLANNED})}


@cache
def areas(seed: int) -> tuple[Area, ...]:
    """Return the 63 areas: their risks spread evenly among provinces and among cities, in an order of chance."""
    rng = vector_stream(seed, "regions")
    names = _names()
    cities = [code for code in names if not code.endswith("0000")]
    provinces = [code for code in names if code.endswith("0000")]
    silent = cities[int(rng.integers(len(cities)))]
    found = []
    for tier, least in ((provinces, 2.0), (cities, 1.0)):
        risks = rng.permutation(np.linspace(0.05, 0.95, len(tier)))
        for code, risk in zip(tier, risks.tolist(), strict=True):
            size = 0.25 if code[:2] in _SMALL else float(rng.uniform(1, 2))
            found.append(Area(code, names[code], least * size, risk, code == silent))
    return tuple(sorted(found, key=lambda area: area.code))


@cache
def units(seed: int) -> tuple[Area, ...]:
    """Return the 63 units as they are ranked: a province with its cities, its risk their mean by weight."""
    found = []
    for unit in areas(seed):
        own = [unit]
        if unit.code == unit.province:
            own = [area for area in areas(seed) if area.province == unit.code]
        weight = sum(area.weight for area in own)
        risk = sum(area.weight * area.risk for area in own) / weight
        found.append(Area(unit.code, unit.name, weight, risk, unit.silent))
    return tuple(found)


def signal(seed: int, area: Area, what: str) -> float:
    """Return an area's risk as one indicator tells it: off by a little, always the same way, from 0 to 1."""
    off = vector_stream(seed, f"signal {what} {area.code}").normal(0, _NOISE)
    return float(np.clip(area.risk + off, 0, 1))


def write_risk_truth(window: Window, log: TruthLog) -> None:
    """Note every unit's true risk."""
    log.add_facts(
        "risk",
        [
            {
                "unit_code": unit.code,
                "tier": "region" if unit.code == unit.province else "city",
                "true_risk": round(unit.risk, 6),
                "silent": unit.silent,
            }
            for unit in units(window.seed)
        ],
    )
