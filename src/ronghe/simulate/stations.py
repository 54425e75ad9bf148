"""Thirty real places of Shenzhen under made-up codes, and the spellings under which they arrive.

Coordinates are WGS-84, as public maps show them: the metro's to four decimals, the bus stops' to about 200 m.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ronghe.simulate.coordinates import to_gcj02
from ronghe.simulate.text import full_width

Floats = npt.NDArray[np.float64]

DAMAGED_STATION = "孖岭"
DAMAGED_NAME = "?I岭"
MISSING_NAME = "-"


@dataclass(frozen=True)
class Place:
    """A station or stop; `codes` has one code per line that stops there."""

    name: str
    kind: str
    codes: tuple[str, ...]
    lines: tuple[str, ...]
    longitude: float
    latitude: float

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """All ways to write the name that normalisation undoes; the first is the usual one."""
        wide = full_width(self.name)
        return (
            *(self.name, f"{self.name}站", f"{self.name}站", f"{self.name} ", f" {self.name}"),
            *(f"{self.name}站 ", f"{self.name}　", wide, f"{wide}站"),
        )


def _metro(name: str, longitude: float, latitude: float, *stops: tuple[str, str]) -> Place:
    codes, lines = zip(*stops, strict=True)
    return Place(name, "metro_station", codes, lines, longitude, latitude)


def _bus(name: str, longitude: float, latitude: float, code: str, line: str) -> Place:
    return Place(name, "bus_stop", (code,), (line,), longitude, latitude)


# In the order of how many people live there.
METRO = (
    _metro("深圳北", 114.0257, 22.6135, ("1260011", "4号线"), ("1261007", "5号线")),
    _metro("车公庙", 114.0227, 22.5388, ("1268013", "1号线")),
    _metro("布吉", 114.1165, 22.6044, ("1262021", "3号线")),
    _metro("福田", 114.0482, 22.5428, ("1263018", "2号线")),
    _metro("龙城广场", 114.2498, 22.7197, ("1262034", "3号线")),
    _metro("清湖", 114.0314, 22.6667, ("1260018", "4号线")),
    _metro("固戍", 113.8420, 22.6038, ("1268027", "1号线")),
    _metro("老街", 114.1109, 22.5473, ("1268003", "1号线"), ("1262015", "3号线")),
    _metro("坪洲", 113.8657, 22.5719, ("1268025", "1号线")),
    _metro(DAMAGED_STATION, 114.0617, 22.5700, ("1264022", "9号线")),
    _metro("高新园", 113.9491, 22.5432, ("1268018", "1号线")),
    _metro("罗湖", 114.1132, 22.5333, ("1268001", "1号线")),
    _metro("世界之窗", 113.9693, 22.5399, ("1268016", "1号线")),
    _metro("岗厦", 114.0629, 22.5376, ("1268008", "1号线")),
    _metro("华强北", 114.0803, 22.5470, ("1263022", "2号线")),
    _metro("购物公园", 114.0478, 22.5363, ("1262010", "3号线")),
    _metro("会展中心", 114.0559, 22.5375, ("1268009", "1号线")),
    _metro("国贸", 114.1139, 22.5424, ("1268002", "1号线")),
    _metro("大剧院", 114.1026, 22.5441, ("1268004", "1号线")),
    _metro("机场东", 113.8176, 22.6500, ("1268030", "1号线")),
)
# In the order of how many people work there or go there for pleasure.
_WORK_ORDER = (
    *("车公庙", "高新园", "福田", "深圳北", "会展中心", "华强北", "罗湖", "岗厦", "购物公园", "世界之窗"),
    *("老街", "国贸", "大剧院", "布吉", "孖岭", "机场东", "坪洲", "固戍", "清湖", "龙城广场"),
)
# The last one is so small that a whole day has fewer than ten cards.
BUS = (
    _bus("上海宾馆(西)", 114.0745, 22.5440, "B440304021", "113路"),
    _bus("科技园(2)", 113.9490, 22.5410, "B440305012", "M372路"),
    _bus("莲花二村", 114.0590, 22.5575, "B440304107", "M347路"),
    _bus("东门中", 114.1155, 22.5480, "B440303009", "203路"),
    _bus("白石洲(1)", 113.9630, 22.5405, "B440305033", "113路"),
    _bus("下沙(2)", 114.0200, 22.5300, "B440304066", "M408路"),
    _bus("机场T3航站楼", 113.8105, 22.6325, "B440306118", "M416路"),
    _bus("西丽动物园", 113.9700, 22.5980, "B440305081", "M226路"),
    _bus("大梅沙海滨公园", 114.3030, 22.5970, "B440308015", "M362路"),
    _bus("坝光", 114.5470, 22.6540, "B440307240", "M457路"),
)
PLACES = METRO + BUS
TINY_STOP = len(BUS) - 1


@dataclass(frozen=True)
class Stop:
    """One code of a place, with what a swipe's row says of it."""

    place: Place
    code: str
    line: str
    longitude: str
    latitude: str


def _stops(places: tuple[Place, ...]) -> tuple[Stop, ...]:
    found = []
    for place in places:
        longitude, latitude = to_gcj02(place.longitude, place.latitude)
        for code, line in zip(place.codes, place.lines, strict=True):
            found.append(Stop(place, code, line, f"{longitude:.6f}", f"{latitude:.6f}"))
    return tuple(found)


STOPS = _stops(PLACES)
FIRST_STOP = np.array([next(i for i, s in enumerate(STOPS) if s.place is p) for p in PLACES])
STOP_COUNT = np.array([len(place.codes) for place in PLACES])


def zipf(count: int, exponent: float) -> Floats:
    """Return weights that fall with rank, adding up to 1."""
    weights = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    shares: Floats = weights / weights.sum()
    return shares


def work_weights() -> Floats:
    """Return how likely each metro station is a place of work."""
    by_rank = zipf(len(METRO), 0.9)
    return np.array([by_rank[_WORK_ORDER.index(place.name)] for place in METRO])


def distances_km() -> Floats:
    """Return the distance between every two metro stations (flat earth is good enough for one city)."""
    east = np.array([place.longitude for place in METRO]) * 102.8
    north = np.array([place.latitude for place in METRO]) * 110.8
    flat: Floats = np.hypot(east[:, None] - east[None, :], north[:, None] - north[None, :])
    return flat
