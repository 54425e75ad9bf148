"""What Airflow adds to a task: a DAG's wall time less that of its jobs, through services that are really up."""

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from ronghe.home import Home
from ronghe.orchestration.client import Airflow

# Two tasks one after the other, which find nothing to do on an empty home.
DAG, JOBS = "nightly_risk_index", ("build_risk_index", "judge_marts")
_RUNS = 5


@dataclass(frozen=True)
class Overhead:
    """One run: seconds from the trigger to its end, those of its tasks' processes, and those that their jobs took."""

    wall_seconds: float
    task_seconds: float
    job_seconds: float

    @property
    def per_task(self) -> float:
        """Seconds that Airflow added to each task."""
        return (self.wall_seconds - self.job_seconds) / len(JOBS)

    @property
    def scheduling(self) -> float:
        """Seconds for each task in which none ran: Airflow chose it, handed it over and made its process."""
        return (self.wall_seconds - self.task_seconds) / len(JOBS)

    @property
    def starting(self) -> float:
        """Seconds for each task in which its process ran and its job did not: imports, the DAG's file, the end."""
        return (self.task_seconds - self.job_seconds) / len(JOBS)


def measure(folder: Path) -> list[Overhead]:
    """Start the services of an empty home, run the DAG some times, and end them; the first run warms them up."""
    home = Home(folder).make()
    environment = {**os.environ, "RONGHE_HOME": str(home.root), "RONGHE_ENGINE_MEMORY": "2g"}
    environment |= {f"RONGHE_{service}_PORT": str(free_port()) for service in ("ENGINE", "AIRFLOW", "SOURCES")}
    _ronghe(environment, "up")
    try:
        with Airflow.connect(home) as client:
            client.await_dags({DAG})
            runs = [_run(client, home) for _ in range(_RUNS + 1)]
    finally:
        _ronghe(environment, "down")
    return runs[1:]


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _run(client: Airflow, home: Home) -> Overhead:
    began = time.monotonic()
    run_id = client.trigger(DAG)
    while client.run_state(DAG, run_id) not in ("success", "failed"):
        time.sleep(0.05)
    wall = time.monotonic() - began
    if client.run_state(DAG, run_id) == "failed":
        raise RuntimeError(f"a run of {DAG} failed; its log is under {home.logs}")
    tasks = sum(task.seconds or 0.0 for task in client.tasks(DAG, run_id))
    return Overhead(wall, tasks, sum(_job_seconds(home, job) for job in JOBS))


def _job_seconds(home: Home, job: str) -> float:
    """Return how long the last run of a job took, the opening of its session included."""
    text = (home.metrics / f"ronghe_job_{job}.prom").read_text("utf-8")
    found = re.search(r"^ronghe_job_seconds\{.*\} (\S+)$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{job} told no seconds")
    return float(found[1])


def _ronghe(environment: dict[str, str], command: str) -> None:
    program = Path(sys.executable).parent / "ronghe"
    subprocess.run([str(program), command], env=environment, check=True, capture_output=True, timeout=600)
