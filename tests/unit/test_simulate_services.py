"""Requests, incidents, service items and environment readings against an independent reading of what is delivered."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from math import cos, hypot, radians
from pathlib import Path
from typing import Any

import pytest
import yaml
from stdnum import luhn
from stdnum.cn import ric, uscc

from ronghe.simulate import simulate
from ronghe.simulate.coordinates import to_gcj02

SCHEMAS = Path(__file__).parents[2] / "schemas"
NARROW = {0x3000: " "} | {code + 0xFEE0: chr(code) for code in range(0x21, 0x7F)}
Record = dict[str, Any]


@dataclass(frozen=True)
class Run:
    folder: Path

    def rows(self, name: str) -> list[Record]:
        return [json.loads(line) for line in (self.folder / "truth" / f"{name}.jsonl").read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("services")
    simulate(folder / "landing", folder / "truth", scale=0.02)
    return Run(folder)


def plain(text: str) -> str:
    return "".join(text.translate(NARROW).split())


@cache
def spellings(codeset: str) -> dict[str, str]:
    content = yaml.safe_load((SCHEMAS / "codesets" / f"{codeset}.yaml").read_text("utf-8"))
    return {s: c["code"] for c in content["codes"] for s in (c["code"], c["name_zh"], *c.get("aliases", []))}


def moment(text: str | None, form: str = "%Y-%m-%d %H:%M:%S") -> datetime | None:
    try:
        return datetime.strptime(text or "", form)  # noqa: DTZ007 - local times of the sources
    except ValueError:
        return None


def late(found: datetime | None, day: date, days: int = 1) -> bool:
    return found is not None and found.date() > day + timedelta(days=days)


def number(text: object) -> float | None:
    return float(str(text)) if re.fullmatch(r"-?\d+(\.\d+)?", str(text)) else None


def json_lines(path: Path) -> Iterator[Record]:
    return map(json.loads, path.read_text("utf-8").splitlines())


def csv_lines(path: Path, encoding: str) -> Iterator[Record]:
    return csv.DictReader(io.StringIO(path.read_bytes().decode(encoding), newline=""))


def why_request(r: Record, day: date) -> set[str]:
    broken = {
        "required:request_number": not r.get("工单编号"),
        "required:request_text": not r.get("诉求内容"),
        "code:request_topic_code": r["诉求主题"] not in spellings("request_topic"),
        "code:request_status_code": r["办理状态"] not in spellings("request_status"),
        "code:division_code": not re.fullmatch(r"44030[3-9]|44031[01]", plain(r["所属区划"])),
        "format:received_date": moment(r["受理日期"], "%Y%m%d") is None,
        "future:updated_at": late(moment(r["更新时间"]), day),
    }
    return {reason for reason, is_broken in broken.items() if is_broken}


def why_incident(r: Record, day: date) -> set[str]:
    broken = {
        "required:incident_code": not r["incident_no"],
        "code:incident_kind_code": r["kind"] not in spellings("incident_kind"),
        "code:severity_code": r["level"] not in spellings("incident_severity"),
        "code:division_code": not re.fullmatch(r"44030[3-9]|44031[01]", r["location"]["district"]),
        "format:occurred_at": moment(r["time"]["occurred"]) is None,
        "future:occurred_at": late(moment(r["time"]["occurred"]), day),
        "range:longitude": (r["location"]["lon"] or 0) > 180,
    }
    return {reason for reason, is_broken in broken.items() if is_broken}


def why_item(r: Record, day: date) -> set[str]:
    snapshot = moment(r["snapshot"], "%Y-%m-%d")
    broken = {
        "pattern:item_code": not re.fullmatch(r"\d{12}", plain(r["code"])),
        "required:item_name": not r["name"],
        "code:item_kind_code": r["kind"] not in spellings("item_kind"),
        "check:owner_uscc": not uscc.is_valid(r["uscc"]),
        "format:legal_days": number(r["legal"]) is None,
        "future:snapshot_date": late(snapshot, day, 0),
    }
    return {reason for reason, is_broken in broken.items() if is_broken}


def why_reading(r: Record, day: date) -> set[str]:
    value, known = number(r["value"]), r["unit"] in ("μg/m3", "mg/m3", "mg/L", "ug/L", "无量纲")
    at = moment(r["time"], "%Y年%m月%d日 %H时") or moment(r["time"], "%Y-%m-%d %H:%M")
    broken = {
        "code:indicator_code": r["indicator"] not in spellings("environment_indicator"),
        "code:reading_flag_code": r["flag"] not in spellings("reading_flag"),
        "format:reading_value": value is None and r["value"] not in (None, "—"),
        "unit:reading_value": value is not None and not known,
        "range:reading_value": value is not None and known and value < 0,
        "format:measured_at": at is None,
        "future:measured_at": late(at, day),
    }
    return {reason for reason, is_broken in broken.items() if is_broken}


def items_of_csv(path: Path) -> Iterator[Record]:
    for r in csv_lines(path, "gb18030"):
        day = re.sub(r"(\d+)年(\d+)月(\d+)日", r"\1-\2-\3", r["目录导出日期"])
        yield {
            **{"code": r["基本编码"], "name": r["事项名称"], "kind": r["事项类型"], "snapshot": day},
            **{"uscc": r["实施主体统一社会信用代码"], "legal": r["法定办结时限（工作日）"]},
        }


def items_of_json(path: Path) -> Iterator[Record]:
    document = json.loads(path.read_text("utf-8"))
    assert document["total"] == len(document["data"]["items"])
    for r in document["data"]["items"]:
        yield {
            **{"code": r["basicCode"], "name": r["name"], "kind": r["type"], "snapshot": r["snapshotDate"]},
            **{"uscc": r["owner"]["uscc"], "legal": r["limit"]["legal"]},
        }


def air(path: Path) -> Iterator[Record]:
    for r in csv_lines(path, "gbk"):
        yield {
            **{"place": r["站点编码"], "time": r["监测时间"], "indicator": r["监测指标"], "value": r["浓度"]},
            **{"unit": r["单位"], "flag": r["数据标识"]},
        }


def water(path: Path) -> Iterator[Record]:
    for r in json_lines(path):
        yield {**r, "place": r["section"]["code"], "time": r["monitored"]}


Reading = Callable[[Path], Iterator[Record]]
Reasons = Callable[[Record, date], set[str]]
FEEDS: dict[str, tuple[Reading, Reasons, Callable[[Record], tuple[object, ...]], int]] = {
    "shenzhen.service_request": (json_lines, why_request, lambda r: (r.get("工单编号"), r["更新时间"]), 9),
    "guiyang.service_item": (items_of_csv, why_item, lambda r: (plain(r["code"]), r["snapshot"]), 6),
    "shenzhen.service_item": (items_of_json, why_item, lambda r: (r["code"], r["snapshot"]), 6),
    "guiyang.air_quality": (air, why_reading, lambda r: (r["place"], r["time"], r["indicator"]), 9),
    "xinjiang.water_quality": (water, why_reading, lambda r: (r["place"], r["time"], r["indicator"]), 9),
    "shenzhen.emergency_incident": (json_lines, why_incident, lambda r: (r["incident_no"],), 9),
}


def delivered(run: Run, feed: str) -> Iterator[tuple[Record, list[Record]]]:
    """Deliveries with their records; an interface serves all days, told apart by the day of publication."""
    served = list(json_lines(run.folder / "upstream" / "api" / "v1" / "incidents.jsonl"))
    for delivery in run.rows("deliveries"):
        if delivery["feed"] != feed:
            continue
        path = run.folder / "landing" / delivery["path"]
        if feed == "shenzhen.emergency_incident":
            assert not path.exists()
            yield delivery, [r for r in served if r["published"] == delivery["business_date"]]
        else:
            yield delivery, list(FEEDS[feed][0](path))


def judged(run: Run, feed: str) -> Iterator[tuple[Record, Record, Record]]:
    defects = {(d["path"], d["record_number"]): d for d in run.rows("defects")}
    for delivery, records in delivered(run, feed):
        assert len(records) == delivery["read"] > 0
        for position, record in enumerate(records, 1):
            sound = {"kind": None, "fate": "accepted", "reason": None}
            yield delivery, record, defects.get((delivery["path"], position), sound)


@pytest.mark.parametrize("feed", FEEDS)
def test_records_are_wrong_exactly_where_the_truth_says_so(run: Run, feed: str) -> None:
    for delivery, record, defect in judged(run, feed):
        found = FEEDS[feed][1](record, date.fromisoformat(delivery["business_date"]))
        assert found == ({defect["reason"]} if defect["reason"] else set()), (delivery["path"], record)


@pytest.mark.parametrize("feed", FEEDS)
def test_keys_repeat_only_in_copies(run: Run, feed: str) -> None:
    seen: set[tuple[object, ...]] = set()
    for delivery, record, defect in judged(run, feed):
        if defect["fate"] != "quarantined":
            key = FEEDS[feed][2](record)
            assert (key in seen) == (defect["fate"] == "deduplicated"), (delivery["path"], record)
            seen.add(key)


@pytest.mark.parametrize("feed", FEEDS)
def test_every_kind_of_defect_is_there_at_least_twice(run: Run, feed: str) -> None:
    kinds = Counter(d["kind"] for d in run.rows("defects") if d["feed"] == feed)
    assert len(kinds) == FEEDS[feed][3]
    assert min(kinds.values()) >= 2


def test_lists_of_service_items_come_every_week(run: Run) -> None:
    days = [d["business_date"] for d in run.rows("deliveries") if d["feed"] == "guiyang.service_item"]
    assert days == ["2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]


def test_two_lists_share_items_and_each_has_its_own(run: Run) -> None:
    sources = Counter(tuple(fact["sources"]) for fact in run.rows("service_items"))
    assert set(sources) == {("guiyang",), ("shenzhen",), ("guiyang", "shenzhen")}
    assert sources["guiyang", "shenzhen"] == max(sources.values())


def test_texts_hold_what_was_planted(run: Run) -> None:
    said: dict[str, str] = {}
    for _, record, defect in judged(run, "shenzhen.service_request"):
        if defect["fate"] == "accepted":
            assert said.setdefault(record["工单编号"], record["诉求内容"]) == record["诉求内容"]
    for name, least in (("text_identifiers", 11), ("text_look_alikes", 7)):
        planted = [fact for fact in run.rows(name) if fact["request_number"] in said]
        assert all(fact["text"] in said[fact["request_number"]] for fact in planted)
        assert len({fact["entity"] for fact in planted}) >= least - 1
    assert 0.5 < len(set(said.values())) / len(said) < 0.75
    assert 45 < sum(map(len, said.values())) / len(said) < 70


def test_planted_numbers_are_what_they_are_called(run: Run) -> None:
    shapes = {
        "CN_MOBILE": r"(?:\+86|0086)?1[3-9]\d{9}",
        "CN_LANDLINE": r"0\d{10,11}(?:转\d{3,4})?",
        "CN_RESIDENT_ID_15": r"\d{15}",
        "CN_RESIDENT_ID": r"\d{17}[\dXx]",
        "CN_BANK_CARD": r"62\d{14}(?:\d{3})?",
        "EMAIL_ADDRESS": r"[a-z._0-9]+@[a-z0-9.]+",
        "CN_USCC": r"92\d{6}[0-9A-Z]{10}",
        "CN_PLATE": r"[粤贵湘][A-Z]·?[0-9A-Z]{5,6}",
    }
    planted = run.rows("text_identifiers")
    for fact in planted:
        text = re.sub(r"(?<=\d)-", "", plain(fact["text"]))
        assert re.fullmatch(shapes.get(fact["entity"], ".+"), text), fact
    by_kind = {e: [plain(f["text"]) for f in planted if f["entity"] == e] for e in shapes}
    assert all(luhn.is_valid(text) for text in by_kind["CN_BANK_CARD"])
    assert all(uscc.is_valid(text) for text in by_kind["CN_USCC"])
    right = sum(ric.calc_check_digit(t) == t[-1].upper() for t in by_kind["CN_RESIDENT_ID"])
    assert 0 < right < len(by_kind["CN_RESIDENT_ID"])


def test_no_look_alike_is_an_identifier(run: Run) -> None:
    for fact in run.rows("text_look_alikes"):
        assert not re.fullmatch(r"1[3-9]\d{9}|\d{15}|\d{17}[\dXx]|62\d{14}|62\d{17}", fact["text"]), fact


def test_phones_of_requesters_and_in_texts_are_listed(run: Run) -> None:
    known = json.loads((run.folder / "truth" / "identifiers.json").read_text("utf-8"))
    for _, record, _ in judged(run, "shenzhen.service_request"):
        phone = plain(record.get("联系电话", "")).removeprefix("+86")
        assert phone == "" or phone in known["phone"]
    for fact in run.rows("text_identifiers"):
        if fact["entity"] == "CN_MOBILE":
            assert re.sub(r"\D", "", plain(fact["text"]))[-11:] in known["phone"]
        if fact["entity"] == "CN_BANK_CARD":
            assert plain(fact["text"]) in known["bank_card"]


def test_a_small_days_requests_come_from_ten_persons(run: Run) -> None:
    """So that the coarsest cell of the mart can be shown whatever the scale."""
    asked: dict[str, set[str]] = {}
    for _, record, defect in judged(run, "shenzhen.service_request"):
        if defect["fate"] == "accepted" and record.get("联系电话"):
            asked.setdefault(record["受理日期"], set()).add(plain(record["联系电话"]).removeprefix("+86"))
    assert len(asked) == 28
    assert min(map(len, asked.values())) >= 10


def test_incidents_lie_near_the_place_the_truth_says(run: Run) -> None:
    places = {tuple(sorted(p["codes"])): p for p in run.rows("places")}
    known = {fact["incident_code"]: fact["place_codes"] for fact in run.rows("incidents")}
    seen = Counter()
    for _, record, defect in judged(run, "shenzhen.emergency_incident"):
        codes, where = known.get(record["incident_no"]), record["location"]
        if defect["fate"] == "accepted" and codes and where["lon"]:
            x, y = to_gcj02(places[tuple(codes)]["longitude"], places[tuple(codes)]["latitude"])
            assert hypot((where["lon"] - x) * cos(radians(y)), where["lat"] - y) * 111_320 < 230
        seen[bool(codes)] += 1
    assert min(seen[True], seen[False]) > 10


def test_stations_are_places_with_their_source(run: Run) -> None:
    stations = Counter((p["kind"], p["source"]) for p in run.rows("places"))
    assert stations["air_station", "guiyang"] == stations["water_section", "xinjiang"] == 2


def test_phosphorus_comes_in_two_units(run: Run) -> None:
    units = {
        r["unit"]
        for _, r, d in judged(run, "xinjiang.water_quality")
        if d["fate"] == "accepted" and spellings("environment_indicator")[r["indicator"]] == "total_phosphorus"
    }
    assert units == {"mg/L", "ug/L"}
