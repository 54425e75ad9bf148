"""The executor: Airflow's LocalExecutor, whose workers hold what jobs import before they fork a task's process."""

import logging
from importlib import import_module

from airflow.executors import local_executor

# Libraries only: Ronghe's own code and declarations are read by each task's process, so a change is in force at once.
PRELOADED = ("pandas", "pyspark.sql.connect.functions", "delta.connect.tables", "great_expectations.expectations")


class LocalExecutor(local_executor.LocalExecutor):
    """Airflow's own, with its name, by which it knows a local one; what its workers have imported their forks have."""

    def start(self) -> None:
        """Import the libraries, then start the workers as forks of this process."""
        # Great Expectations says of each of its methods, some two hundred, that its documentation skips it.
        logging.getLogger("great_expectations._docs_decorators").setLevel(logging.WARNING)
        for name in PRELOADED:
            import_module(name)
        super().start()
