"""The simulated security feeds against an independent reading of their files."""

import csv
import gzip
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ronghe.simulate.delivery import Window
from ronghe.simulate.host_scans import write_host_scans
from ronghe.simulate.network_events import write_network_events
from ronghe.simulate.regions import units, write_risk_truth
from ronghe.simulate.security_surveys import write_security_surveys
from ronghe.simulate.threat_reports import write_threat_reports
from ronghe.simulate.truth import TruthLog
from ronghe.simulate.vulnerabilities import write_exploit_predictions, write_known_exploited

WRITERS = (
    *(write_host_scans, write_network_events, write_security_surveys, write_threat_reports),
    *(write_exploit_predictions, write_known_exploited, write_risk_truth),
)
LAST = date(2026, 11, 22)
FEEDS = ("host_scan", "network_event", "security_survey", "threat_report", "exploit_prediction", "known_exploited")
WEEKLY = [feed for feed in FEEDS if feed != "network_event"]


@dataclass(frozen=True)
class Run:
    landing: Path
    truth: Path

    def files(self, feed: str) -> list[Path]:
        return sorted(self.landing.glob(f"cyberspace/{feed}/*/*"))

    def facts(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.truth / f"{name}.jsonl").read_text("utf-8").splitlines()]

    def defects(self, feed: str) -> dict[tuple[str, int], str]:
        return {(d["path"], d["record_number"]): d["kind"] for d in self.facts("defects") if d["feed"].endswith(feed)}


def make(folder: Path, seed: int = 20261123) -> Run:
    days = tuple(LAST - timedelta(n) for n in reversed(range(14)))
    window, log = Window(folder / "landing", folder / "upstream", days, 0.05, seed), TruthLog()
    for write in WRITERS:
        write(window, log)
    log.write(folder / "truth", log.summary(seed=seed, scale=0.05, days=days))
    return Run(folder / "landing", folder / "truth")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make(tmp_path_factory.mktemp("nation"))


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").removesuffix("\n").split("\n")


def records(path: Path, feed: str) -> list[Any]:
    """Return a file's records; one that is no JSON is None."""
    if feed == "security_survey":
        return list(csv.DictReader(path.read_text("utf-8").splitlines()))
    if feed == "exploit_prediction":
        comment, *rest = gzip.decompress(path.read_bytes()).decode().splitlines()
        assert comment.startswith("#model_version:v2026.03.14,score_date:")
        return list(csv.DictReader(rest))
    if feed in ("known_exploited", "threat_report"):
        return json.loads(path.read_text("utf-8"))["vulnerabilities" if feed == "known_exploited" else "objects"]
    return [_json(line) for line in lines(path)]


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def test_same_seed_gives_the_same_bytes_and_another_seed_others(run: Run, tmp_path: Path) -> None:
    again, other = make(tmp_path / "again"), make(tmp_path / "other", seed=7)
    for feed in FEEDS:
        first = [path.read_bytes() for path in run.files(feed)]
        assert [path.read_bytes() for path in again.files(feed)] == first
        assert not set(first) & {path.read_bytes() for path in other.files(feed)}


def test_weekly_feeds_come_on_sundays_and_events_every_day(run: Run) -> None:
    assert {feed: len(run.files(feed)) for feed in FEEDS} == dict.fromkeys(WEEKLY, 2) | {"network_event": 14}
    assert {path.parent.name for feed in WEEKLY for path in run.files(feed)} == {"2026-11-15", "2026-11-22"}


@pytest.mark.parametrize("feed", FEEDS)
def test_truth_counts_the_records_of_every_file(feed: str, run: Run) -> None:
    known = {row["path"]: row for row in run.facts("deliveries") if row["feed"].endswith(feed)}
    for path in run.files(feed):
        row = known[str(path.relative_to(run.landing))]
        assert row["read"] == len(records(path, feed)) == row["accepted"] + row["deduplicated"] + row["quarantined"]


@pytest.mark.parametrize("feed", FEEDS)
def test_every_kind_of_defect_is_there(feed: str, run: Run) -> None:
    kinds = Counter(run.defects(feed).values())
    assert len(kinds) >= 6
    assert min(count for kind, count in kinds.items() if kind != "torn") >= 2


def test_only_torn_lines_are_no_json(run: Run) -> None:
    for feed in ("network_event", "host_scan"):
        torn = {where for where, kind in run.defects(feed).items() if kind == "torn"}
        found = {
            (str(path.relative_to(run.landing)), number)
            for path in run.files(feed)
            for number, record in enumerate(records(path, feed), 1)
            if record is None
        }
        assert found == torn != set()


def test_stamps_have_an_offset_without_a_colon(run: Run) -> None:
    sound = [r for path in run.files("network_event") for r in records(path, "network_event") if r and "timestamp" in r]
    stamps = [r["timestamp"] for r in sound if "-13-" not in r["timestamp"]]
    assert all(stamp.endswith("+0800") and datetime.fromisoformat(stamp).microsecond is not None for stamp in stamps)
    kinds = Counter(r["event_type"] for r in sound)
    assert {"alert", "flow", "dns", "stats"} <= set(kinds)
    assert all("alert" not in r and "src_ip" not in r for r in sound if r["event_type"] == "stats")


def test_made_up_numbers_are_none_that_was_ever_given(run: Run) -> None:
    predicted = {r["cve"] for path in run.files("exploit_prediction") for r in records(path, "exploit_prediction")}
    listed = {r["cveID"] for path in run.files("known_exploited") for r in records(path, "known_exploited")}
    sound = {cve for cve in predicted | listed if cve not in ("CVE-2026", "CVE-26-1")}
    assert all(cve.split("-")[2].startswith("99") and len(cve.split("-")[2]) == 7 for cve in sound)
    assert listed - {"CVE-2026"} <= predicted


def test_addresses_are_of_networks_that_are_nobodys_and_are_noted(run: Run) -> None:
    noted = set(json.loads((run.truth / "identifiers.json").read_text("utf-8"))["ip_address"])
    hosts = {r["ip"] for path in run.files("host_scan") for r in records(path, "host_scan") if r and "ip" in r}
    events = [r for path in run.files("network_event") for r in records(path, "network_event") if r]
    sources, targets = ({r[name] for r in events if name in r} for name in ("src_ip", "dest_ip"))
    assert hosts | sources | targets <= noted
    assert all(address.startswith(("198.18.", "198.19.", "10.")) for address in noted)


def test_a_bundle_repeats_every_location_and_sightings_point_at_them(run: Run) -> None:
    first, second = (records(path, "threat_report") for path in run.files("threat_report"))
    places = {r["id"] for r in first if r.get("type") == "location"}
    assert len(places) == 63
    assert places == {r["id"] for r in second if r.get("type") == "location"}
    repeated = Counter(kind for kind in run.defects("threat_report").values())["repeated"]
    assert repeated == 63
    seen = {ref for r in (*first, *second) for ref in r.get("where_sighted_refs", ())}
    assert seen
    assert seen <= places


def test_silent_unit_answers_nothing_and_others_leave_gaps(run: Run) -> None:
    truth = {row["unit_code"]: row for row in run.facts("risk")}
    assert len(truth) == 63
    silent = next(code for code, row in truth.items() if row["silent"])
    names = {unit.code: unit.name for unit in units(20261123)}
    answers: dict[str, int] = defaultdict(int)
    for path in run.files("security_survey"):
        for record in records(path, "security_survey"):
            answers[record["region_code"]] += 1
    assert not {silent, names[silent]} & set(answers)
    assert 63 * 10 * 2 * 0.9 < sum(answers.values()) < 62 * 10 * 2
    hosts = Counter(r["region_code"] for p in run.files("host_scan") for r in records(p, "host_scan") if r)
    assert set(truth) <= set(hosts)
    sensors = {
        r.get("fields", {}).get("region_code")
        for p in run.files("network_event")
        for r in records(p, "network_event")
        if r
    }
    assert silent not in sensors


@pytest.mark.parametrize("days", [1, 8])
def test_weekly_feed_of_a_short_window_ends_with_it(days: int, tmp_path: Path) -> None:
    window = Window(tmp_path / "l", tmp_path / "u", tuple(LAST - timedelta(n) for n in reversed(range(days))), 0.02, 1)
    log = TruthLog()
    for write in WRITERS:
        write(window, log)
    found = sorted({path.parent.name for path in (tmp_path / "l").glob("cyberspace/host_scan/*/*")})
    assert found == ["2026-11-15", "2026-11-22"][-(1 + days // 8) :]
