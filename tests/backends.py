"""Code run in a process of its own beside an Airflow whose secrets backend the test says."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_beside(folder: Path, code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code with an Airflow whose files lie in a folder; it must end well."""
    own = {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
    }
    (folder / "airflow").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **own, **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done
