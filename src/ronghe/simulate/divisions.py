"""Administrative divisions of the simulated cities, with the years in which Guiyang's were in force."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Division:
    """A division an organisation may be registered in: founded from `since` to before `until`."""

    code: str
    name: str
    weight: float
    since: date
    until: date
    successor: str | None = None

    @property
    def current_code(self) -> str:
        """The code of the division that covers the place today."""
        return self.successor or self.code


_ALWAYS = date(1985, 1, 1)
_OPEN = date(9999, 1, 1)

GUIYANG_CURRENT = (
    Division("520102", "南明区", 22, _ALWAYS, _OPEN),
    Division("520103", "云岩区", 24, _ALWAYS, _OPEN),
    Division("520111", "花溪区", 12, _ALWAYS, _OPEN),
    Division("520112", "乌当区", 6, _ALWAYS, _OPEN),
    Division("520113", "白云区", 8, _ALWAYS, _OPEN),
    Division("520115", "观山湖区", 13, date(2013, 1, 1), _OPEN),
    Division("520121", "开阳县", 4, date(1996, 1, 1), _OPEN),
    Division("520122", "息烽县", 3, date(1996, 1, 1), _OPEN),
    Division("520123", "修文县", 4, date(1996, 1, 1), _OPEN),
    Division("520181", "清镇市", 6, date(1996, 1, 1), _OPEN),
)
# Xiaohe was merged into Huaxi in 2012; the three counties came from Anshun to Guiyang, with new codes, in 1996.
GUIYANG_ABOLISHED = (
    Division("520114", "小河区", 5, date(2001, 1, 1), date(2012, 11, 1), "520111"),
    Division("522522", "开阳县", 1, _ALWAYS, date(1995, 1, 1), "520121"),
    Division("522523", "息烽县", 1, _ALWAYS, date(1995, 1, 1), "520122"),
    Division("522524", "修文县", 1, _ALWAYS, date(1995, 1, 1), "520123"),
)
GUIYANG = {division.code: division for division in GUIYANG_CURRENT + GUIYANG_ABOLISHED}

# Code and weight: how many insured persons it has, relative to the others.
NANJING = {
    "320102": 8,
    "320104": 11,
    "320105": 9,
    "320106": 13,
    "320111": 8,
    "320113": 9,
    "320114": 8,
    "320115": 19,
    "320116": 8,
    "320117": 4,
    "320118": 3,
}

SHENZHEN = tuple(
    Division(code, name, weight, _ALWAYS, _OPEN)
    for code, name, weight in (
        ("440303", "罗湖区", 8),
        ("440304", "福田区", 14),
        ("440305", "南山区", 15),
        ("440306", "宝安区", 20),
        ("440307", "龙岗区", 18),
        ("440308", "盐田区", 2),
        ("440309", "龙华区", 12),
        ("440310", "坪山区", 4),
        ("440311", "光明区", 5),
    )
)
