"""Administrative divisions of the simulated cities, with the years in which Guiyang's were in force."""

import random
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


@dataclass(frozen=True)
class District:
    """A county-level division: its name, and where its offices are (WGS-84, to some 500 m)."""

    name: str
    longitude: float
    latitude: float


NANJING_DISTRICTS = {
    "320102": District("玄武区", 118.798, 32.049),
    "320104": District("秦淮区", 118.795, 32.039),
    "320105": District("建邺区", 118.732, 32.003),
    "320106": District("鼓楼区", 118.770, 32.066),
    "320111": District("浦口区", 118.628, 32.059),
    "320113": District("栖霞区", 118.909, 32.096),
    "320114": District("雨花台区", 118.779, 31.991),
    "320115": District("江宁区", 118.840, 31.953),
    "320116": District("六合区", 118.821, 32.322),
    "320117": District("溧水区", 119.028, 31.651),
    "320118": District("高淳区", 118.892, 31.327),
}
# Codes given up in 2000, 2002 and 2013, which old records keep, and the one division that covers the place since.
NANJING_ABOLISHED = {
    "320103": "320104",
    "320107": "320106",
    "320112": "320116",
    "320121": "320115",
    "320122": "320111",
    "320123": "320116",
    "320124": "320117",
    "320125": "320118",
}
_OLD_SHARE = 0.15


def recorded_in_nanjing(today: str, rng: random.Random) -> str:
    """Return the code under which something in a division of today was recorded: now and then one given up since."""
    old = [code for code, successor in NANJING_ABOLISHED.items() if successor == today]
    return rng.choice(old) if old and rng.random() < _OLD_SHARE else today


def nanjing_today(code: str) -> str:
    """Return the code of the division that covers the place today."""
    return NANJING_ABOLISHED.get(code, code)
