"""The benchmarks' twins still come to the rows of the stages; times are not looked at."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from bench.chains import CHAINS, measure_chain
from bench.world import Stage

pytestmark = pytest.mark.spark

RECORDS = 2_000
# The chains whose twins take longest are for the nights.
LONG = ("gate", "index", "fuse")


@pytest.mark.parametrize(
    "chain",
    [
        pytest.param(chain, id=chain[-1].name, marks=pytest.mark.long if chain[-1].name in LONG else ())
        for chain in CHAINS
    ],
)
def test_twins_agree(chain: tuple[Stage, ...], spark: SparkSession, tmp_path: Path) -> None:
    runs = measure_chain(chain, spark, tmp_path, RECORDS, 1)
    for run in runs:
        assert all(run.rows.values()), f"{run.stage} was compared over an empty table: {run.rows}"
