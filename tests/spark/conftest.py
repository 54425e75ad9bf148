"""One classic session for the tests of this folder, with the engine's own settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from ronghe import sessions
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.ingest import deliveries
from ronghe.job import JobContext
from ronghe.lake import Lake

# What is compiled runs once in a test: compiling takes longer than everything else.
INTERPRETED = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with sessions.in_process(Home(tmp_path_factory.mktemp("classic"))) as session:
        for name, value in INTERPRETED.items():
            session.conf.set(name, value)
        yield session


@pytest.fixture(scope="session", autouse=True)
def _files_are_whole() -> Iterator[None]:
    """Nobody writes to a test's deliveries any more, so that none waits to see it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deliveries, "SETTLE_SECONDS", 0.0)
        yield


@pytest.fixture
def compiled(spark: SparkSession) -> Iterator[None]:
    """Plans are compiled, as the engine does."""
    for name in INTERPRETED:
        spark.conf.unset(name)
    yield
    for name, value in INTERPRETED.items():
        spark.conf.set(name, value)


@pytest.fixture
def ctx(spark: SparkSession, tmp_path: Path) -> JobContext:
    """A job's context over an empty home."""
    home = Home(tmp_path).make()
    return JobContext(home, catalogue(), spark, Lake(home, catalogue(), spark))
