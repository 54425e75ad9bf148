"""One classic session for the tests of this folder, with the engine's own settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from ronghe import engine
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import JobContext
from ronghe.lake import Lake


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with engine.classic_session(Home(tmp_path_factory.mktemp("classic"))) as session:
        yield session


@pytest.fixture
def one_machine(spark: SparkSession) -> Iterator[None]:
    """The engine's settings that matter to small tables: what delta-rs can read, few tasks, nothing compiled."""
    own = {
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
        # The gate's plans are compiled in its own tests; here that takes longer than everything else.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    for name, value in own.items():
        spark.conf.set(name, value)
    yield
    for name in own:
        spark.conf.unset(name)


@pytest.fixture
def ctx(spark: SparkSession, tmp_path: Path, one_machine: None) -> JobContext:
    """A job's context over an empty home."""
    home = Home(tmp_path).make()
    return JobContext(home, catalogue(), spark, Lake(home, catalogue(), spark))
