"""The risk index over a small simulated nation: taken in, fused, measured, ranked, and counted again."""

import gzip
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jobs import build_risk_index, desensitise_fused, fuse_vulnerabilities, ingest_deliveries
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import Days, JobContext
from ronghe.lake import Lake
from ronghe.simulate.delivery import Window
from ronghe.simulate.host_scans import write_host_scans
from ronghe.simulate.network_events import write_network_events
from ronghe.simulate.regions import write_risk_truth
from ronghe.simulate.security_surveys import write_security_surveys
from ronghe.simulate.threat_reports import write_threat_reports
from ronghe.simulate.truth import TruthLog
from ronghe.simulate.vulnerabilities import write_exploit_predictions, write_known_exploited
from tests.oracles import conservation_faults, fate_faults, truth
from tests.oracles.risk import rank_correlation, risk_index_faults

pytestmark = pytest.mark.spark

LAST = date(2026, 11, 22)
WEEKS = (LAST - timedelta(7), LAST)
WRITERS = (
    *(write_host_scans, write_network_events, write_security_surveys, write_threat_reports),
    *(write_exploit_predictions, write_known_exploited, write_risk_truth),
)
MARTS = ("mart.risk_indicator", "mart.risk_index")


@dataclass(frozen=True)
class Nation:
    """A home in which two weeks were taken in and built, and what the build said."""

    ctx: JobContext
    built: int

    @property
    def home(self) -> Home:
        return self.ctx.home

    def rows(self, table_id: str) -> pd.DataFrame:
        return self.ctx.lake.rows(table_id).to_pandas()


@pytest.fixture(scope="module")
def nation(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Nation:
    home, found = Home(tmp_path_factory.mktemp("nation")).make(), catalogue()
    days = tuple(LAST - timedelta(n) for n in reversed(range(14)))
    window, log = Window(home.landing, home.root / "upstream", days, 0.15, 20261123), TruthLog()
    for write in WRITERS:
        write(window, log)
    log.write(home.truth, log.summary(seed=window.seed, scale=window.scale, days=days))
    ctx = JobContext(home, found, spark, Lake(home, found, spark))
    tables = {name for index in found.indices.values() for name in index.tables}
    for feed in found.feeds.values():
        if feed.target in tables:
            ingest_deliveries.run(replace(ctx, feed_id=feed.id))
    return Nation(ctx, build_risk_index.run(ctx))


def test_every_record_met_its_fate(nation: Nation) -> None:
    assert conservation_faults(nation.home) == []
    assert fate_faults(nation.home) == []


def test_every_week_is_built(nation: Nation) -> None:
    assert nation.built == len(WEEKS)
    scores, cells = nation.rows("mart.risk_index"), nation.rows("mart.risk_indicator")
    assert set(scores["period_end_date"]) == set(cells["period_end_date"]) == set(WEEKS)
    assert len(scores) == 63 * len(WEEKS)
    assert len(cells) == len(scores) * len(catalogue().index("cyber").indicators)


def test_marts_equal_a_recount(nation: Nation) -> None:
    assert risk_index_faults(nation.home) == []


def test_scores_order_units_as_their_true_risks_do(nation: Nation) -> None:
    assert rank_correlation(nation.home) >= 0.9


def test_silent_unit_is_scored_and_not_ranked(nation: Nation) -> None:
    silent = {row["unit_code"] for row in truth(nation.home, "risk") if row["silent"]}
    scores = nation.rows("mart.risk_index")
    assert len(silent) == 1
    assert set(scores["unit_code"][~scores["is_ranked"]]) == silent
    assert scores["score"].notna().all()
    assert (scores["imputed_share"][~scores["is_ranked"]] > 1 / 3).all()


def test_values_fit_their_goalposts(nation: Nation) -> None:
    """Few values are clamped, and every indicator tells units apart."""
    cells = nation.rows("mart.risk_indicator")
    assert cells["is_clamped"].mean() < 0.03
    spread = cells.groupby("indicator_code")["normalised_value"].agg(lambda v: v.quantile(0.9) - v.quantile(0.1))
    # At this scale sensors see few events.
    alerts = ["severe_alert_rate", "scan_alert_rate", "attacker_rate"]
    assert spread.drop(alerts).min() > 25


def test_sensors_that_were_down_leave_a_value_out(nation: Nation) -> None:
    cells = nation.rows("mart.risk_indicator").query("indicator_code == 'severe_alert_rate'")
    thin = cells[cells["coverage_share"] < 0.5]
    assert thin["raw_value"].isna().all()
    assert cells[cells["coverage_share"] >= 0.5]["raw_value"].notna().all()
    assert 0 < len(cells[cells["coverage_share"] < 1]) < len(cells)


def test_vulnerabilities_are_one_row_each_and_cross(nation: Nation) -> None:
    ctx = nation.ctx
    assert fuse_vulnerabilities.run(ctx) == 1
    assert fuse_vulnerabilities.run(ctx) == 0
    fused, predicted = nation.rows("fused.vulnerability"), nation.rows("std.exploit_prediction")
    listed = nation.rows("std.known_exploited_vulnerability")
    assert fused["cve_code"].is_unique
    assert set(fused["cve_code"]) == set(predicted["cve_code"]) | set(listed["cve_code"])
    assert set(fused["cve_code"][fused["is_known_exploited"]]) == set(listed["cve_code"])
    newest = predicted.sort_values("business_date").drop_duplicates("cve_code", keep="last")
    both = fused.merge(newest, on="cve_code", suffixes=("", "_newest"))
    assert len(both) == len(newest)
    assert (both["exploit_probability"] == both["exploit_probability_newest"]).all()
    assert set(fused["source_count"]) == {1, 2}
    assert desensitise_fused.run(ctx) >= 1
    assert len(nation.rows("safe.vulnerability")) == len(fused)


def test_second_run_writes_nothing_and_a_new_prediction_builds_its_week_alone(nation: Nation) -> None:
    ctx = nation.ctx
    before = {name: ctx.lake.version(name) for name in MARTS}
    assert build_risk_index.run(ctx) == 0
    assert {name: ctx.lake.version(name) for name in MARTS} == before
    cves = nation.rows("std.host_scan")["cve_codes_text"].str.extract(r'"(CVE[^"]+)"')[0].dropna()
    path = ctx.home.landing / "cyberspace/exploit_prediction/2026-11-21/correction.csv.gz"
    path.parent.mkdir(parents=True)
    lines = ["#corrected", "cve,epss,percentile", *(f"{cve},0.99,1" for cve in sorted(set(cves))), ""]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert ingest_deliveries.run(replace(ctx, feed_id="cyberspace.exploit_prediction")) == 1
    assert build_risk_index.run(replace(ctx, days=Days(WEEKS[0], WEEKS[0]))) == 0
    assert build_risk_index.run(ctx) == 1
    assert risk_index_faults(ctx.home) == []
