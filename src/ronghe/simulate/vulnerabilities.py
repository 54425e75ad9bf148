"""The known exploited vulnerabilities and the exploit predictions: the same made-up CVE numbers in two feeds.

The numbers have seven digits and begin with 99, which none that was ever given has.
"""

import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np

from ronghe.simulate.defects import Defect, Fault, quarantined, set_field
from ronghe.simulate.delivery import Entry, Feed, Window
from ronghe.simulate.randomness import stream, vector_stream
from ronghe.simulate.records import Rows, document, weekly, write_records
from ronghe.simulate.truth import TruthLog

KNOWN = Feed("cyberspace", "known_exploited", "known_exploited_vulnerabilities", "json")
# The publisher writes the model's version above the header; the name of the file keeps it where the ledger sees it.
MODEL = "v2026.03.14"
PREDICTED = Feed("cyberspace", "exploit_prediction", f"epss_scores-{MODEL}", "csv.gz")

KNOWN_COLUMNS = (
    *("cveID", "vendorProject", "product", "vulnerabilityName", "dateAdded", "shortDescription", "requiredAction"),
    *("dueDate", "knownRansomwareCampaignUse", "notes", "cwes"),
)
_CVE, _VENDOR, _ADDED, _RANSOMWARE = 0, 1, 4, 8
_VENDORS = ("Lantu", "Hexin", "Qingfeng", "Northgate", "Beidou Soft", "Yunshan", "Mirador", "Opal Systems")
_PRODUCTS = ("Gateway", "Mail Server", "Router Firmware", "Web Portal", "Hypervisor", "Office Suite", "VPN Client")
_WEAKNESSES = {
    "CWE-78": "OS Command Injection",
    "CWE-79": "Cross-Site Scripting",
    "CWE-89": "SQL Injection",
    "CWE-22": "Path Traversal",
    "CWE-287": "Improper Authentication",
    "CWE-416": "Use-After-Free",
    "CWE-502": "Deserialization of Untrusted Data",
    "CWE-787": "Out-of-Bounds Write",
}
_ACTION = "Apply mitigations per vendor instructions or discontinue use of the product if mitigations are unavailable."
_ALL, _EXPLOITED = 10_000, 1_400
_FEWEST, _FEWEST_EXPLOITED = 300, 60
_YEARS = 3
_FUTURE_DAYS = 40


@dataclass(frozen=True)
class Vulnerability:
    """A made-up vulnerability; `added` is the day it was listed as exploited, or none."""

    cve: str
    probability: float
    added: date | None


@cache
def universe(seed: int, scale: float, last_day: date) -> tuple[Vulnerability, ...]:
    """Return every vulnerability there is; those listed come first."""
    rng = vector_stream(seed, "vulnerabilities")
    count, exploited = max(_FEWEST, round(_ALL * scale)), max(_FEWEST_EXPLOITED, round(_EXPLOITED * scale))
    years = rng.integers(2015, last_day.year, count).tolist()
    # Most predictions are near 0; those of exploited ones are spread.
    odds = np.where(np.arange(count) < exploited, rng.beta(1.2, 1.8, count), rng.beta(0.25, 12, count))
    age = rng.integers(0, _YEARS * 365, count).tolist()
    return tuple(
        Vulnerability(
            cve=f"CVE-{year}-{9_900_000 + number}",
            probability=round(float(odds[number]), 9),
            added=last_day - timedelta(days=age[number]) if number < exploited else None,
        )
        for number, year in enumerate(years)
    )


def write_known_exploited(window: Window, log: TruthLog) -> None:
    """Write the whole catalogue once a week."""
    days = weekly(window)
    listed = [v for v in universe(window.seed, window.scale, window.days[-1]) if v.added]
    rng = stream(window.seed, "catalogue")
    entries = [_entry(vulnerability, rng) for vulnerability in listed]
    rows = [[list(e) for e in entries if e[_ADDED] <= day.isoformat()] for day in days]

    def future(row: list[str], day: int, _rng: random.Random) -> None:
        row[_ADDED] = (days[day] + timedelta(days=_FUTURE_DAYS)).isoformat()

    faults = [
        Fault(Defect("duplicate", "deduplicated"), 12, keeps_original=True),
        quarantined("bad_cve", "pattern:cve_code", 8, set_field(_CVE, "CVE-2026")),
        quarantined("bad_added_date", "format:added_date", 8, set_field(_ADDED, "2026-13-01")),
        quarantined("future_added_date", "future:added_date", 4, future),
        quarantined("unknown_ransomware_use", "code:ransomware_use_code", 4, set_field(_RANSOMWARE, "Perhaps")),
        quarantined("empty_vendor", "required:vendor_name", 4, set_field(_VENDOR, "")),
    ]
    write_records(window, log, KNOWN, days, rows, faults, _catalogue)


def _entry(vulnerability: Vulnerability, rng: random.Random) -> list[str]:
    added = vulnerability.added
    if added is None:
        raise ValueError(f"{vulnerability.cve} is not listed")
    vendor, product = rng.choice(_VENDORS), rng.choice(_PRODUCTS)
    weakness, what = rng.choice(list(_WEAKNESSES.items()))
    return [
        vulnerability.cve,
        vendor,
        product,
        f"{vendor} {product} {what} Vulnerability",
        added.isoformat(),
        f"{vendor} {product} contains a vulnerability of the kind {what}.",
        _ACTION,
        (added + timedelta(days=21)).isoformat(),
        "Known" if rng.random() < 0.2 else "Unknown",
        f"https://example.org/{vulnerability.cve}",
        json.dumps([weakness]),
    ]


def _catalogue(entries: Sequence[Entry], _rng: random.Random) -> bytes:
    records = [document(KNOWN_COLUMNS, entry.row, ("cwes",)) for entry in entries]
    # As published: an empty text stays a key.
    full = [{name: record.get(name, "") for name in KNOWN_COLUMNS} for record in records]
    newest = max((r["dateAdded"] for r in full), default="")
    head = {
        "title": "Catalog of Known Exploited Vulnerabilities (simulated)",
        "catalogVersion": newest.replace("-", "."),
        "dateReleased": f"{newest}T17:04:19.9796Z",
        "count": len(full),
    }
    return json.dumps({**head, "vulnerabilities": full}, indent=4).replace("/", "\\/").encode()


def write_exploit_predictions(window: Window, log: TruthLog) -> None:
    """Write every vulnerability's prediction once a week."""
    days = weekly(window)
    known = universe(window.seed, window.scale, window.days[-1])
    rng = vector_stream(window.seed, "predictions")
    rows = [_predictions(known, rng) for _ in days]
    faults = [
        Fault(Defect("duplicate", "deduplicated"), 40, keeps_original=True),
        Fault(Defect("torn", "quarantined", "torn"), 10),
        quarantined("bad_cve", "pattern:cve_code", 20, set_field(0, "CVE-26-1")),
        quarantined("no_number", "format:exploit_probability", 20, set_field(1, "n/a")),
        quarantined("impossible_probability", "range:exploit_probability", 20, set_field(1, "1.5")),
        quarantined("empty_probability", "required:exploit_probability", 10, set_field(1, "")),
    ]
    when = iter(days)
    write_records(window, log, PREDICTED, days, rows, faults, lambda entries, _: _scores(entries, next(when)))


def _predictions(known: Sequence[Vulnerability], rng: np.random.Generator) -> Rows:
    moved = np.clip(np.array([v.probability for v in known]) * rng.normal(1, 0.03, len(known)), 1e-5, 0.99999)
    percentile = np.searchsorted(np.sort(moved), moved, side="right") / len(known)
    return [
        [v.cve, f"{probability:.9f}", f"{share:.9f}"]
        for v, probability, share in zip(known, moved.tolist(), percentile.tolist(), strict=True)
    ]


def _scores(entries: Sequence[Entry], day: date) -> bytes:
    lines = [f"#model_version:{MODEL},score_date:{day}T12:00:00Z", "cve,epss,percentile"]
    for entry in entries:
        torn = entry.defect is not None and entry.defect.kind == "torn"
        lines.append(",".join(entry.row[:2] if torn else entry.row))
    # No name and no time inside, so that the same rows give the same bytes.
    return gzip.compress("\n".join([*lines, ""]).encode(), mtime=0)
