"""Files as publishers really write them, taken in under the very contracts of the simulated feeds."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs import ingest_deliveries
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake

SAMPLES = Path("/work/shared/data")
pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(not (SAMPLES / "kev").is_dir(), reason="the publishers' files are not on this machine"),
]


@pytest.fixture
def take_in(spark: SparkSession, tmp_path: Path) -> Any:
    home, found = Home(tmp_path).make(), catalogue()

    def run(feed_id: str, day: str, *files: str) -> tuple[list[dict[str, Any]], Counter[str]]:
        """Deliver files as they are; return the target's rows, and how many records met which fate."""
        feed = found.feed(feed_id)
        folder = home.landing / feed.source_code / feed.name / day
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(SAMPLES / file, folder)
        ctx = JobContext(home, found, spark, Lake(home, found, spark), feed_id)
        assert ingest_deliveries.run(ctx) == len(files)
        fates: Counter[str] = Counter()
        for event in ctx.lake.rows("meta.delivery").to_pylist():
            if event["event_code"] == "accepted":
                fates.update({fate: event[f"{fate}_count"] for fate in ("accepted", "deduplicated", "quarantined")})
        return ctx.lake.rows(feed.target).to_pylist(), fates

    return run


def test_catalogue_of_exploited_vulnerabilities(take_in: Any) -> None:
    name = "kev/known_exploited_vulnerabilities.json"
    entries = json.loads((SAMPLES / name).read_text())["vulnerabilities"]
    # The publisher lost a character in the description of two.
    known = {entry["cveID"]: entry for entry in entries if "\N{REPLACEMENT CHARACTER}" not in str(entry)}
    assert (len(entries), len(known)) == (1404, 1402)
    rows, fates = take_in("cyberspace.known_exploited", "2025-08-26", name)
    assert fates == {"accepted": 1402, "deduplicated": 0, "quarantined": 2}
    assert {row["cve_code"] for row in rows} == set(known)
    assert Counter(row["ransomware_use_code"] for row in rows) == Counter(
        entry["knownRansomwareCampaignUse"].lower() for entry in known.values()
    )
    assert all(row["added_date"].isoformat() == known[row["cve_code"]]["dateAdded"] for row in rows)
    assert all(json.loads(row["weakness_text"]) == known[row["cve_code"]]["cwes"] for row in rows)


def test_alerts_of_a_sensor(take_in: Any) -> None:
    name = "suricata/wrccdc-2018-alerts.json"
    known = json.loads((SAMPLES / name).read_text())
    rows, fates = take_in("cyberspace.network_event", "2018-03-25", name)
    assert fates == {"accepted": 207, "deduplicated": 0, "quarantined": 0}
    assert {row["flow_code"] for row in rows} == {str(event["flow_id"]) for event in known}
    # The first stamp ends in -0600.
    first = next(row for row in rows if row["record_number"] == 1)
    assert f"{first['observed_at']:%Y-%m-%d %H:%M:%S.%f}" == "2018-03-24 20:37:19.037299"
    assert Counter(row["severity_level"] for row in rows) == {1: 76, 2: 82, 3: 49}
    assert len({row["attacker_token"] for row in rows}) == len({event["src_ip"] for event in known})
    assert {row["region_code"] for row in rows} == {None}


def test_threat_reports(take_in: Any) -> None:
    names = ("stix/apt1.json", "stix/indicator-for-c2-ip-address.json")
    objects = [thing for name in names for thing in json.loads((SAMPLES / name).read_text())["objects"]]
    rows, fates = take_in("cyberspace.threat_report", "2026-11-22", *names)
    assert len(objects) == fates.total() == 77
    assert fates["quarantined"] == 0
    assert fates["accepted"] == len({(thing["id"], thing["modified"]) for thing in objects})
    kinds = {thing["id"]: thing["type"] for thing in objects}
    assert {row["object_code"]: row["threat_object_kind_code"] for row in rows} == kinds
    # Contacts of persons stand in the bundle and nowhere else.
    assert "uglygorilla" in json.dumps(objects)
    assert "uglygorilla" not in json.dumps(rows, default=str)
