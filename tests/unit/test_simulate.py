"""The simulated feeds against an independent reading of their files: the truth must be true, both ways."""

import csv
import hashlib
import io
import json
import math
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from lxml import etree
from stdnum import numdb
from stdnum.cn import ric, uscc
from typer.testing import CliRunner

from ronghe.cli import app
from ronghe.contracts.catalogue import builtin_folder
from ronghe.simulate import simulate
from ronghe.simulate.coordinates import to_gcj02

SCHEMAS = Path(__file__).parents[2] / "schemas"
FEEDS = (
    *("shenzhen.swipe", "nanjing.social_security", "guiyang.enterprise"),
    *("nanjing.school", "nanjing.pipe_asset", "nanjing.pipe_incident"),
)
WEEKLY = ("nanjing.school", "nanjing.pipe_asset")
REFUSED = {
    "nanjing.social_security": ["民族", "个人编号", "姓名", "联系电话"],
    "nanjing.school": ["少数民族学生占比", "校长姓名", "联系电话"],
    "nanjing.pipe_incident": ["reporter_name", "reporter_phone"],
}
SCHOOL_KINDS = (
    *("kindergarten", "primary_school", "junior_middle_school", "senior_middle_school", "vocational_school"),
)
NARROW = {0x3000: " "} | {code + 0xFEE0: chr(code) for code in range(0x21, 0x7F)}
Record = dict[str, str]


@dataclass(frozen=True)
class Run:
    landing: Path
    truth: Path

    def rows(self, name: str) -> list[dict[str, Any]]:
        text = (self.truth / f"{name}.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def identifiers(self) -> dict[str, list[str]]:
        return json.loads((self.truth / "identifiers.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder / "landing", folder / "truth", scale=0.01)
    return Run(folder / "landing", folder / "truth")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three working days at full scale."""
    folder = tmp_path_factory.mktemp("city")
    simulate(folder / "landing", folder / "truth", days=3, last_day=date(2026, 11, 5))
    return Run(folder / "landing", folder / "truth")


def plain(text: str) -> str:
    return "".join(text.translate(NARROW).split())


def read_swipes(path: Path) -> Iterator[Record]:
    header, *lines = path.read_bytes().split(b"\r\n")
    names = header.decode("gb18030").split(",")
    for line in lines if lines[-1] else lines[:-1]:
        text = line.decode("gb18030", errors="replace")
        fields = next(csv.reader(io.StringIO(text)))
        yield dict(zip(names, fields, strict=False)) | ({"undecodable": text} if "\ufffd" in text else {})


def read_social_security(path: Path) -> Iterator[Record]:
    parser = etree.XMLParser(recover=True, encoding="gbk")
    for record in etree.fromstring(path.read_bytes(), parser).iter("参保记录"):
        yield {child.tag: child.text or "" for child in record}


def read_enterprises(path: Path) -> Iterator[Record]:
    book = openpyxl.load_workbook(path, read_only=True)
    names, *rows = book["登记信息"].iter_rows(values_only=True)
    for row in rows:
        assert all(value is None or isinstance(value, str) for value in row)
        yield {name: value or "" for name, value in zip(names, row, strict=True)}
    book.close()


def read_delimited(path: Path, delimiter: str) -> Iterator[Record]:
    """Records of a file; of a torn one, what is there."""
    header, *lines = path.read_bytes().decode("gb18030").split("\r\n")
    for line in lines if lines[-1] else lines[:-1]:
        yield dict(zip(header.split(delimiter), line.split(delimiter), strict=False))


def read_schools(path: Path) -> Iterator[Record]:
    return read_delimited(path, "|")


def read_pipe_assets(path: Path) -> Iterator[Record]:
    return read_delimited(path, ",")


def read_pipe_incidents(path: Path) -> Iterator[Record]:
    """The rows the database publishes on the day of the delivery, which is not landed by the simulation."""
    assert not path.exists()
    with sqlite3.connect(path.parents[4] / "upstream" / "nanjing_pipes.sqlite") as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM pipe_incident ORDER BY id").fetchall()
    for row in rows:
        if row["published_date"] == path.parent.name:
            yield {name: "" if value is None else str(value) for name, value in dict(row).items()}


READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    "shenzhen.swipe": read_swipes,
    "nanjing.social_security": read_social_security,
    "guiyang.enterprise": read_enterprises,
    "nanjing.school": read_schools,
    "nanjing.pipe_asset": read_pipe_assets,
    "nanjing.pipe_incident": read_pipe_incidents,
}


@cache
def contract(feed: str) -> list[str]:
    source, name = feed.split(".")
    content = yaml.safe_load((SCHEMAS / "sources" / source / f"{name}.odcs.yaml").read_text(encoding="utf-8"))
    return [column["name"] for column in content["schema"][0]["properties"]]


@cache
def frequency(feed: str) -> int:
    """How many days lie between two deliveries."""
    source, name = feed.split(".")
    content = yaml.safe_load((SCHEMAS / "sources" / source / f"{name}.odcs.yaml").read_text(encoding="utf-8"))
    return next((p["value"] for p in content["schema"][0]["customProperties"] if p["property"] == "frequencyDays"), 1)


@cache
def codes(name: str) -> dict[str, str]:
    content = yaml.safe_load((SCHEMAS / "codesets" / f"{name}.yaml").read_text(encoding="utf-8"))
    return {s: code["code"] for code in content["codes"] for s in (code["name_zh"], *code.get("aliases", []))}


@cache
def known_division(code: str) -> bool:
    return any("county" in facts for _, facts in numdb.get("cn/loc").info(code))


@cache
def valid_person(text: str) -> bool:
    return bool(ric.is_valid(person(text)))


@cache
def moment(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - local times of the sources
    except ValueError:
        return None


def person(text: str) -> str:
    number = plain(text).upper()
    if len(number) == 15:
        number = f"{number[:6]}19{number[6:]}"
        number += "10X98765432"[sum(int(c) * 2 ** (17 - i) for i, c in enumerate(number)) % 11]
    return number


def first(*rules: tuple[str, bool]) -> str | None:
    return next((reason for reason, broken in rules if broken), None)


def why_swipe(record: Record, business_date: date) -> str | None:
    if "undecodable" in record:
        return "undecodable"
    if len(record) < len(contract("shenzhen.swipe")):
        return "torn"
    service = moment(record["结算日期"], "%Y%m%d")
    assert service is not None
    return first(
        ("format:swiped_at", moment(record["交易时间"], "%Y-%m-%d %H:%M:%S") is None),
        ("code:swipe_kind_code", record["交易类型"] not in codes("swipe_kind")),
        ("any_of:place_code,place_name", record["站点编码"] == "" and record["站点名称"] == "-"),
        ("range:fare_cny", float(record["交易金额"]) < 0),
        ("future:service_date", service.date() > business_date),
        ("required:card_token", not re.fullmatch(r"3104\d{12}", record["卡号"])),
    )


def why_social_security(record: Record, _business_date: date) -> str | None:
    if len(record) < len(contract("nanjing.social_security")) + 1 or not moment(
        record["结算时间"], "%Y-%m-%dT%H:%M:%S"
    ):
        return "torn"
    return first(
        ("required:person_token", record["公民身份号码"] == ""),
        ("check:person_token", not valid_person(record["公民身份号码"])),
        ("code:scheme_code", record["险种"] not in codes("insurance_scheme")),
        ("code:division_code", not known_division(plain(record["参保区划"]))),
        ("format:base_cny", not re.fullmatch(r"\d+\.\d\d", record["缴费基数"])),
        ("check:employer_uscc", not uscc.is_valid(plain(record["单位统一社会信用代码"]))),
    )


def why_enterprise(record: Record, business_date: date) -> str | None:
    founded = moment(plain(record["成立日期"]), "%Y年%m月%d日")
    approved = moment(plain(record["核准日期"]), "%Y年%m月%d日")
    assert approved is not None
    assert founded is None or founded <= approved
    return first(
        ("check:uscc", not uscc.is_valid(plain(record["统一社会信用代码"]))),
        ("format:founded_date", founded is None),
        ("code:organisation_kind_code", plain(record["企业类型"]) not in codes("organisation_kind")),
        ("code:division_code", not known_division(record["行政区划代码"])),
        ("required:organisation_name", record["企业名称"] == ""),
        ("future:approved_date", approved.date() > business_date),
    )


def why_school(record: Record, business_date: date) -> str | None:
    if len(record) < len(contract("nanjing.school")) + 1:
        return "torn"
    assert moment(record["统计日期"], "%Y/%m/%d") is not None
    code = plain(record["统一社会信用代码"])
    return first(
        ("code:school_kind_code", record["学校类别"] not in codes("school_kind")),
        ("check:uscc", code != "无" and not uscc.is_valid(code)),
        ("code:division_code", not known_division(plain(record["所在区划"]))),
        ("code:term_code", record["学年学期"] not in codes("school_term")),
        ("range:latitude", not 31 < float(record["纬度"]) < 33),
        ("range:pupil_count", int(record["在校生数"]) < 0),
        ("format:teacher_count", not record["专任教师数"].isdigit()),
    )


def why_pipe_asset(record: Record, business_date: date) -> str | None:
    assert date.fromisoformat(record["普查日期"]) <= business_date
    return first(
        ("required:asset_code", record["管段编号"] == ""),
        ("code:asset_kind_code", record["管网类型"] not in codes("asset_kind")),
        ("code:material_code", record["材质"] not in codes("pipe_material")),
        ("range:diameter_mm", int(record["管径毫米"]) < 1),
        ("format:length_m", not re.fullmatch(r"\d+\.\d\d", record["长度米"])),
        ("range:built_year", not 1850 <= int(record["敷设年份"]) <= 2100),
        ("code:division_code", not known_division(plain(record["所在区划"]))),
        ("check:owner_uscc", not uscc.is_valid(plain(record["权属单位信用代码"]))),
    )


def why_pipe_incident(record: Record, business_date: date) -> str | None:
    reported = moment(record["reported_at"], "%Y-%m-%d %H:%M:%S")
    repaired = moment(record["repaired_at"], "%Y-%m-%d %H:%M:%S")
    assert repaired is None or repaired.date() <= business_date
    return first(
        ("required:incident_code", record["incident_no"] == ""),
        ("code:asset_kind_code", record["pipe_kind"] not in codes("asset_kind")),
        ("code:incident_kind_code", record["incident_kind"] not in codes("incident_kind")),
        ("code:severity_code", record["severity"] not in codes("incident_severity")),
        ("format:occurred_at", reported is None),
        ("future:occurred_at", reported is not None and reported.date() > business_date + timedelta(1)),
        ("range:affected_household_count", int(record["affected_households"]) < 0),
        ("code:division_code", not known_division(record["division_code"])),
    )


WHY: dict[str, Callable[[Record, date], str | None]] = {
    "shenzhen.swipe": why_swipe,
    "nanjing.social_security": why_social_security,
    "guiyang.enterprise": why_enterprise,
    "nanjing.school": why_school,
    "nanjing.pipe_asset": why_pipe_asset,
    "nanjing.pipe_incident": why_pipe_incident,
}
# What tells one record from another, where it is written in one way only.
KEYS = {
    "nanjing.school": ("学校标识码", "统计日期"),
    "nanjing.pipe_asset": ("管段编号", "普查日期"),
    "nanjing.pipe_incident": ("incident_no", "published_date"),
}


def key(feed: str, record: Record) -> tuple[str, ...]:
    if feed == "shenzhen.swipe":
        kind = codes("swipe_kind")[record["交易类型"]]
        return (record["卡号"], record["交易时间"], kind, record["设备编号"])
    if feed == "nanjing.social_security":
        scheme = codes("insurance_scheme")[record["险种"]]
        return (person(record["公民身份号码"]), scheme, record["缴费月份"], record["结算时间"])
    if feed in KEYS:
        term = (codes("school_term")[record["学年学期"]],) if feed == "nanjing.school" else ()
        return (*(plain(record[name]).upper() for name in KEYS[feed]), *term)
    return (plain(record["统一社会信用代码"]).upper(), plain(record["核准日期"]))


@cache
def deliveries(run: Run, feed: str) -> list[tuple[dict[str, Any], list[Record]]]:
    found = [delivery for delivery in run.rows("deliveries") if delivery["feed"] == feed]
    assert found
    return [(delivery, list(READERS[feed](run.landing / delivery["path"]))) for delivery in found]


@cache
def defects(run: Run) -> dict[tuple[str, int], dict[str, Any]]:
    return {(d["path"], d["record_number"]): d for d in run.rows("defects")}


def records_with_defects(run: Run, feed: str) -> Iterator[tuple[dict[str, Any], Record, dict[str, Any]]]:
    """Delivery, record and defect; sound records are accepted without kind and reason."""
    sound = {"kind": None, "fate": "accepted", "reason": None}
    for delivery, records in deliveries(run, feed):
        for number, record in enumerate(records, 1):
            yield delivery, record, defects(run).get((delivery["path"], number), sound)


def accepted(run: Run, feed: str) -> Iterator[Record]:
    return (record for _, record, defect in records_with_defects(run, feed) if defect["fate"] == "accepted")


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_seed_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    simulate(tmp_path / "landing", tmp_path / "truth", scale=0.01)
    assert contents(tmp_path / "landing") == contents(run.landing)
    assert contents(tmp_path / "truth") == contents(run.truth)


def test_other_seed_differs_in_every_file(run: Run, tmp_path: Path) -> None:
    simulate(tmp_path / "landing", tmp_path / "truth", scale=0.01, seed=7)
    before, after = contents(run.landing), contents(tmp_path / "landing")
    assert before.keys() == after.keys()
    assert not [path for path in before if before[path] == after[path]]


def test_files_lie_where_the_contracts_say(run: Run) -> None:
    assert (run.landing / "shenzhen/swipe/2026-10-26/swipe_20261026.csv").is_file()
    assert (run.landing / "nanjing/social_security/2026-11-22/sbjf_20261122.xml").is_file()
    assert (run.landing / "guiyang/enterprise/2026-10-26/enterprise_20261026.xlsx").is_file()
    files = {feed: len(list(run.landing.glob(feed.replace(".", "/") + "/*/*"))) for feed in FEEDS}
    assert files.pop("nanjing.pipe_incident") == 0, "it is asked for, not delivered"
    assert files == {feed: 28 // frequency(feed) for feed in files}
    assert not list(run.landing.rglob("*.part"))


@pytest.mark.parametrize("feed", FEEDS)
def test_columns_are_the_contracts(run: Run, feed: str) -> None:
    _, records = deliveries(run, feed)[0]
    assert sorted(records[0]) == sorted(contract(feed) + REFUSED.get(feed, []))


@pytest.mark.parametrize("feed", FEEDS)
def test_truth_is_conserved_in_every_delivery(run: Run, feed: str) -> None:
    fates = Counter((d["path"], d["fate"]) for d in run.rows("defects"))
    for delivery, records in deliveries(run, feed):
        path = delivery["path"]
        assert delivery["read"] == len(records) > 0
        assert delivery["quarantined"] == fates[path, "quarantined"]
        assert delivery["deduplicated"] == fates[path, "deduplicated"]
        assert delivery["read"] == sum(delivery[fate] for fate in ("accepted", "deduplicated", "quarantined"))


@pytest.mark.parametrize("feed", FEEDS)
def test_records_are_wrong_exactly_where_the_truth_says_so(run: Run, feed: str) -> None:
    for delivery, record, defect in records_with_defects(run, feed):
        reason = WHY[feed](record, date.fromisoformat(delivery["business_date"]))
        assert reason == defect["reason"], (delivery["path"], record)


def without_row_number(record: Record) -> Record:
    """What a source says; a database numbers its rows besides."""
    return {name: value for name, value in record.items() if name != "id"}


@pytest.mark.parametrize("feed", FEEDS)
def test_keys_repeat_only_in_exact_copies(run: Run, feed: str) -> None:
    seen: dict[tuple[str, ...], tuple[str, Record]] = {}
    for delivery, record, defect in records_with_defects(run, feed):
        if defect["fate"] == "quarantined":
            continue
        known = seen.setdefault(key(feed, record), (delivery["business_date"], record))
        assert (known[1] is not record) == (defect["fate"] == "deduplicated"), (delivery["path"], record)
        assert without_row_number(known[1]) == without_row_number(record)
        resent = date.fromisoformat(delivery["business_date"]) - date.fromisoformat(known[0])
        later = 7 if feed in WEEKLY else 1
        assert resent == timedelta(days=later if defect["kind"] == "duplicate_resent" else 0)


@pytest.mark.parametrize("feed", FEEDS)
def test_every_kind_of_defect_is_there_at_least_twice(run: Run, feed: str) -> None:
    kinds = Counter(d["kind"] for d in run.rows("defects") if d["feed"] == feed)
    assert dict(zip(FEEDS, (14, 10, 8, 10, 9, 9), strict=True))[feed] == len(kinds)
    assert min(kinds.values()) >= 2


def test_accepted_defects_of_swipes_show(run: Run) -> None:
    late = {"late": range(1, 4), "very_late": range(9, 13), "duplicate_resent": [1]}
    for delivery, record, defect in records_with_defects(run, "shenzhen.swipe"):
        kind = defect["kind"]
        if kind in ("torn", "undecodable", "future_service_date"):
            continue
        service = datetime.strptime(record["结算日期"], "%Y%m%d").date()  # noqa: DTZ007
        assert (date.fromisoformat(delivery["business_date"]) - service).days in late.get(kind, [0])
        assert (record["站点名称"] == "?I岭") == (kind == "damaged_name")
        assert (record["站点名称"] == "-") == (kind in ("missing_name", "no_place"))


def test_places_are_found_by_code_and_by_name(run: Run) -> None:
    places = [place for place in run.rows("places") if place["source"] == "shenzhen"]
    assert Counter(p["kind"] for p in places) == {"metro_station": 20, "bus_stop": 10}
    assert sorted(len(p["codes"]) for p in places) == [1] * 28 + [2, 2]
    assert len({p["name"] for p in places}) == 30
    by_code = {code: p for p in places for code in p["codes"]}
    spellings = set()
    for record in accepted(run, "shenzhen.swipe"):
        place = by_code[record["站点编码"]]
        shifted = to_gcj02(place["longitude"], place["latitude"])
        assert (record["经度"], record["纬度"]) == tuple(f"{value:.6f}" for value in shifted)
        spellings.add(record["站点名称"])
        name = record["站点名称"].translate(NARROW).strip().removesuffix("站")
        assert name in (place["name"], "-") or (place["name"], name) == ("孖岭", "?I岭")
    assert len(spellings) > 80


def test_shift_of_coordinates_is_the_known_one() -> None:
    """Tiananmen: the pair that coordinate converters publish as their example."""
    assert to_gcj02(116.404, 39.915) == pytest.approx((116.41024449916938, 39.91640428150164), abs=1e-9)


def test_trips_stay_in_hours_and_pay_at_the_end(city: Run) -> None:
    after_midnight = 0
    for record in accepted(city, "shenzhen.swipe"):
        service = record["结算日期"]
        midnight = datetime.fromisoformat(f"{service[:4]}-{service[4:6]}-{service[6:]}")
        hours = (datetime.fromisoformat(record["交易时间"]) - midnight) / timedelta(hours=1)
        assert 6 <= hours < 25
        after_midnight += hours >= 24
        assert (record["交易金额"] == "0.00") == record["交易类型"].startswith(("地铁入", "地铁进"))
    assert after_midnight > 50


def test_busy_stations_are_publishable_and_the_tiny_stop_is_not(city: Run) -> None:
    """A quarter hour with ten cards in and ten out can be published; the tiny stop cannot in a whole day."""
    names = {code: p["name"] for p in city.rows("places") for code in p["codes"]}
    cards: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for record in accepted(city, "shenzhen.swipe"):
        time = record["交易时间"]
        quarter = f"{record['结算日期']} {time[11:14]}{int(time[14:16]) // 15}"
        cards[names[record["站点编码"]], codes("swipe_kind")[record["交易类型"]], quarter].add(record["卡号"])
    full = Counter(
        name
        for (name, kind, quarter), found in cards.items()
        if kind == "metro_in" and min(len(found), len(cards.get((name, "metro_out", quarter), ()))) >= 10
    )
    assert full["车公庙"] >= 3 * 12
    assert full["车公庙"] > 5 * max(full["国贸"], full["大剧院"])
    tiny: dict[str, set[str]] = defaultdict(set)
    for (name, _, quarter), found in cards.items():
        if name == "坝光":
            tiny[quarter[:8]] |= found
    assert len(tiny) == 3
    assert all(0 < len(found) < 10 for found in tiny.values())


@pytest.mark.parametrize("fixture", ["run", "city"])
def test_small_group_stays_small_whatever_the_scale(fixture: str, request: pytest.FixtureRequest) -> None:
    members = defaultdict(set)
    for record in accepted(request.getfixturevalue(fixture), "nanjing.social_security"):
        group = (plain(record["参保区划"]), codes("insurance_scheme")[record["险种"]], record["缴费月份"])
        members[group].add(person(record["公民身份号码"]))
    assert [len(members["320118", "210", month]) for month in ("202610", "202611")] == [5, 5]
    assert len({division for division, _, _ in members}) == 11


def test_torn_xml_ends_in_its_last_record(run: Run) -> None:
    torn = [d for d in run.rows("defects") if d["kind"] == "torn" and d["feed"] == "nanjing.social_security"]
    assert len({d["path"] for d in torn}) == len(torn) == 4
    read = {delivery["path"]: delivery["read"] for delivery in run.rows("deliveries")}
    for defect in torn:
        text = (run.landing / defect["path"]).read_bytes().decode("gbk")
        assert text.count("<参保记录>") == read[defect["path"]] == defect["record_number"]
        assert "</社会保险>" not in text
        assert not text.rstrip().endswith("</参保记录>")


def test_torn_csv_twice_has_no_line_end(run: Run) -> None:
    unended = [p for p in sorted(run.landing.glob("shenzhen/swipe/*/*.csv")) if not p.read_bytes().endswith(b"\r\n")]
    assert len(unended) == 2


def test_restated_contributions_come_later_with_other_amounts(run: Run) -> None:
    rows = defaultdict(list)
    restated = set()
    for _, record, defect in records_with_defects(run, "nanjing.social_security"):
        if defect["fate"] == "accepted":
            group = key("nanjing.social_security", record)[:3]
            rows[group].append((record["结算时间"], record["缴费基数"]))
            restated |= {group} if defect["kind"] == "restated" else set()
    assert {group for group, found in rows.items() if len(found) == 2} == restated
    for group in restated:
        (before, base), (after, corrected) = rows[group]
        assert before[:10] < after[:10]
        assert base != corrected


def test_short_and_long_identity_numbers_are_the_same_persons(run: Run) -> None:
    forms = defaultdict(set)
    for record in accepted(run, "nanjing.social_security"):
        forms[record["个人编号"]].add(plain(record["公民身份号码"]).upper())
    both = [numbers for numbers in forms.values() if {15, 18} <= {len(number) for number in numbers}]
    assert both
    for numbers in both:
        assert all(1960 <= int(person(n)[6:10]) < 1985 for n in numbers)
    assert {n for numbers in both for n in numbers} <= set(run.identifiers()["resident_id"])
    assert len(set(map(frozenset, forms.values()))) == len(forms)


def test_identifiers_are_valid(run: Run) -> None:
    known = run.identifiers()
    assert all(values == sorted(set(values)) for values in known.values())
    assert all(ric.is_valid(person(number)) for number in known["resident_id"])
    assert not any(ric.is_valid(number) for number in known["damaged_resident_id"])
    assert all(uscc.is_valid(code) and code.startswith("92") for code in known["sole_trader_uscc"])


def test_identifiers_are_those_of_the_records(run: Run) -> None:
    found = defaultdict(set)
    found["card"] = {record["卡号"] for record in accepted(run, "shenzhen.swipe")}
    for record in accepted(run, "nanjing.social_security"):
        found["phone"].add(record["联系电话"])
        found["account_number"].add(record["个人编号"])
    for record in accepted(run, "guiyang.enterprise"):
        found["phone"].add(plain(record["联系电话"]))
        if codes("organisation_kind")[plain(record["企业类型"])] == "sole_trader":
            found["sole_trader_uscc"].add(plain(record["统一社会信用代码"]).upper())
            found["sole_trader_name"].add(plain(record["企业名称"]))
    found["phone"] |= {record["联系电话"] for record in accepted(run, "nanjing.school")}
    found["phone"] |= {record["reporter_phone"] for record in accepted(run, "nanjing.pipe_incident")}
    known = run.identifiers()
    for kind, values in found.items():
        assert values <= set(known[kind]), kind
    for kind in ("card", "account_number"):
        # Other feeds have none; the few others stand only in quarantined records.
        assert len(set(known[kind]) - found[kind]) <= 20, kind


def test_canary_names_are_rare(run: Run) -> None:
    canaries = run.identifiers()["canary_name"]
    rare = Counter(character for name in canaries for character in set(name))
    assert all(rare[character] == 1 for name in canaries for character in name[2:])
    text = "".join(path.read_bytes().decode("gbk") for path in run.landing.glob("nanjing/**/*.xml"))
    for _, records in deliveries(run, "guiyang.enterprise"):
        text += "".join(value for record in records for value in record.values())
    own = [name for name in canaries if name in text]
    assert len(own) == 40 + 30
    for name in own:
        name.encode("gbk")
        text = text.replace(name, "")
    assert not set(text) & set(rare)


def employers_of(run: Run) -> dict[str, str]:
    names: dict[str, str] = {}
    for record in accepted(run, "nanjing.social_security"):
        name = plain(record["单位名称"])
        assert names.setdefault(plain(record["单位统一社会信用代码"]).upper(), name) == name
    return names


def test_organisations_are_those_of_the_accepted_records(run: Run) -> None:
    registered = {plain(r["统一社会信用代码"]).upper(): r for r in accepted(run, "guiyang.enterprise")}
    employers = employers_of(run)
    schools = {plain(r["统一社会信用代码"]).upper(): r for r in accepted(run, "nanjing.school")}
    schools.pop("无")
    organisations = {o["uscc"]: o for o in run.rows("organisations") if {"guiyang", "nanjing"} & set(o["sources"])}
    assert organisations.keys() == registered.keys() | employers.keys() | schools.keys()
    assert schools.keys() & employers.keys()
    for code, record in schools.items():
        known = organisations[code]
        assert known["name"] == plain(record["学校名称"])
        assert known["division_code"] == plain(record["所在区划"]) == code[2:8]
        assert "nanjing" in known["sources"]
        assert not known["sole_trader"]
    assert registered.keys() & employers.keys()
    assert {code: organisations[code]["name"] for code in employers} == employers
    for code, record in registered.items():
        known = organisations[code]
        assert known["name"] == plain(record["企业名称"])
        assert known["division_code"] == record["行政区划代码"] == code[2:8]
        assert known["sole_trader"] == (known["kind"] == "sole_trader") == code.startswith("92")
        assert set(known["sources"]) >= {"guiyang"} | ({"nanjing"} if code in employers else set())


def test_a_tenth_of_the_employers_is_registered_in_the_other_city(city: Run) -> None:
    companies = [o for o in city.rows("organisations") if o["uscc"].startswith("9")]
    sources = Counter(tuple(s for s in o["sources"] if s in ("guiyang", "nanjing")) for o in companies)
    # Not everybody hires in three days.
    assert 27 <= sources["guiyang", "nanjing"] <= 30
    assert 255 <= sources["nanjing",] <= 270


def test_abolished_divisions_were_in_force_at_foundation(city: Run) -> None:
    registered = [o for o in city.rows("organisations") if o["uscc"].startswith("9")]
    moved = [o for o in registered if o["division_code"] != o["current_division_code"]]
    successors = {(o["division_code"], o["current_division_code"]) for o in moved}
    assert successors == {
        ("520114", "520111"),
        ("522522", "520121"),
        ("522523", "520122"),
        ("522524", "520123"),
    }
    for organisation in moved:
        year = int(organisation["founded_date"][:4])
        assert year in (range(2001, 2013) if organisation["division_code"] == "520114" else range(1985, 1995))
    assert 0.05 < len(moved) / len(registered) < 0.11


def test_schools_are_counted_every_week_and_one_cell_is_too_small_to_show(city: Run, run: Run) -> None:
    for folder in (city, run):
        small = {
            (plain(r["学校标识码"]), int(r["专任教师数"]))
            for r in accepted(folder, "nanjing.school")
            if plain(r["所在区划"]) in ("320118", "320125") and r["学校类别"] in ("中职", "中等职业学校")
        }
        assert small == {("3201000000", 8)}
    weeks = [delivery["business_date"] for delivery, _ in deliveries(run, "nanjing.school")]
    assert weeks == ["2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16"]
    terms = Counter(codes("school_term")[r["学年学期"]] for r in accepted(city, "nanjing.school"))
    assert sorted(terms) == ["2025-2026-2", "2026-2027-1"]
    assert min(terms.values()) > 1100


def test_schools_are_places_and_some_have_codes_given_up(city: Run) -> None:
    places = {place["codes"][0]: place for place in city.rows("places") if place["source"] == "nanjing"}
    found = {plain(r["学校标识码"]): r for r in accepted(city, "nanjing.school")}
    assert places.keys() == found.keys()
    assert len({(place["name"], place["kind"]) for place in places.values()}) == len(places)
    for code, record in found.items():
        place = places[code]
        assert (record["经度"], record["纬度"]) == (f"{place['longitude']:.6f}", f"{place['latitude']:.6f}")
        assert (plain(record["学校名称"]), codes("school_kind")[record["学校类别"]]) == (place["name"], place["kind"])
    assert set(SCHOOL_KINDS) == set(codes("school_kind").values()) <= set(codes("place_kind").values())
    old = {plain(r["所在区划"]) for r in found.values()} & {"320103", "320107", "320112", "320121", "320125"}
    assert len(old) == 5


def test_schools_are_written_in_the_whole_of_gb18030(city: Run) -> None:
    (path,) = city.landing.glob("nanjing/school/*/*.csv")
    with pytest.raises(UnicodeDecodeError):
        path.read_bytes().decode("gbk")


def test_assets_are_the_newest_accepted_states(run: Run) -> None:
    known = {asset["asset_code"]: asset for asset in run.rows("assets")}
    latest = {plain(r["管段编号"]).upper(): r for r in accepted(run, "nanjing.pipe_asset")}
    assert known.keys() == latest.keys()
    for code, record in latest.items():
        asset = known[code]
        assert asset["length_m"] == record["长度米"]
        assert asset["built_year"] == int(record["敷设年份"])
        assert asset["material_code"] == codes("pipe_material")[record["材质"]]
        assert asset["asset_kind_code"] == codes("asset_kind")[record["管网类型"]]
        assert asset["owner_uscc"] == plain(record["权属单位信用代码"]).upper()
    renewed = [r for r in latest.values() if r["敷设年份"] == "2026"]
    assert renewed


def test_owners_of_pipes_are_partly_known_to_others(city: Run) -> None:
    owners = {asset["owner_uscc"] for asset in city.rows("assets")}
    assert len(owners) == 8
    assert 3 <= len(owners & {o["uscc"] for o in city.rows("organisations")}) <= 5


def test_incidents_come_again_when_they_are_repaired_later(run: Run) -> None:
    segments = {asset["asset_code"] for asset in run.rows("assets")}
    states = defaultdict(list)
    for record in accepted(run, "nanjing.pipe_incident"):
        states[record["incident_no"]].append(record)
    twice = [found for found in states.values() if len(found) == 2]
    assert len(twice) > 50
    for before, after in twice:
        assert (before["repaired_at"], before["published_date"]) < (after["repaired_at"], after["published_date"])
        assert before["repaired_at"] == ""
        assert after["repaired_at"][:10] == after["published_date"]
    named = [plain(found[0]["segment_code"]).upper() for found in states.values()]
    assert 0.03 < named.count("") / len(named) < 0.1
    assert 0.01 < sum(code not in segments for code in named if code) / len(named) < 0.08


_LATE = ("shenzhen.swipe", "nanjing.pipe_incident", "cyberspace.network_event")


@pytest.mark.parametrize("days", [1, 2])
def test_short_windows_are_whole(days: int, tmp_path: Path) -> None:
    summary = simulate(tmp_path / "landing", tmp_path / "truth", scale=0.002, days=days)
    for feed in summary.feeds:
        assert feed.deliveries == math.ceil(days / frequency(feed.feed))
        assert feed.read == feed.accepted + feed.deduplicated + feed.quarantined > 0
        assert "very_late" not in feed.defects
        assert ("late" in feed.defects) == (days == 2 and feed.feed in _LATE)


def test_simulate_refuses_what_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scale > 0"):
        simulate(tmp_path, tmp_path, scale=0)


def test_nothing_is_simulated_where_no_source_in_force_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own" / "schemas" / "sources" / "harbin"
    own.mkdir(parents=True)
    ours = builtin_folder() / "schemas" / "sources" / "guiyang" / "source.yaml"
    (own / "source.yaml").write_text(ours.read_text("utf-8").replace("code: guiyang", "code: harbin"), "utf-8")
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RONGHE_SCHEMAS", f"builtin:{tmp_path / 'own'}")
    monkeypatch.setenv("RONGHE_SOURCES", "harbin")
    done = CliRunner().invoke(app, ["simulate", "--if-empty"])
    assert (done.exit_code, done.output.split(":")[0]) == (0, "No source in force is simulated")
    assert not any(path.is_file() for path in (tmp_path / "home").rglob("*"))


def test_last_day_that_is_none_is_said_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_HOME", str(tmp_path / "home"))
    done = CliRunner().invoke(app, ["simulate", "--last-day", "2026-11-31"])
    assert (done.exit_code, done.output) == (1, "--last-day: '2026-11-31' is no day (2026-11-22)\n")
    assert not (tmp_path / "home").exists()
