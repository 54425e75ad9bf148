"""One classic session for the tests of this folder, with the engine's own settings."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from ronghe import engine
from ronghe.home import Home


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    with engine.classic_session(Home(tmp_path_factory.mktemp("classic"))) as session:
        yield session
