"""A client of Airflow's REST API: start runs, follow their tasks."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type, wait_fixed

from ronghe.home import Home
from ronghe.orchestration import service

ENDED = ("success", "failed")
# States of a task that a person wants to hear of.
_OVER = (*ENDED, "skipped", "upstream_failed")
_TOLD = (*_OVER, "up_for_retry")

# How long nothing may end before a follower is told what goes on.
_QUIET_SECONDS = 30.0
# How often the scheduler is asked after, and how long it may be unwell: on a busy machine it may miss some beats, and
# one that died is started again.
_ASKED_SECONDS, _STOPPED_SECONDS = 10.0, 180.0
# How long a question may stay without an answer.
_AWAY_SECONDS = 90.0


@dataclass(frozen=True)
class TaskState:
    """A task of a run as Airflow reports it; `seconds` is none until it ends."""

    dag_id: str
    task_id: str
    state: str
    seconds: float | None


class Airflow:
    """One authorised connection to the home's Airflow."""

    def __init__(self, client: httpx.Client, lives: Callable[[], bool] = lambda: True) -> None:
        self._client, self._lives = client, lives

    @classmethod
    @contextmanager
    def connect(cls, home: Home) -> Iterator["Airflow"]:
        """Log in and give a connection.

        Raises:
            AirflowError: Airflow does not run, or refuses.
        """
        running = service.state(home)
        if running is None:
            raise service.AirflowError(f"No Airflow runs for {home.root}. Start it with `ronghe up`.")
        base = f"http://localhost:{running.port}"
        login = {"username": service.USER, "password": service.password(home)}
        with httpx.Client(base_url=base, timeout=30, transport=httpx.HTTPTransport(retries=3)) as client:
            answer = client.post("/auth/token", json=login)
            if answer.is_error:
                raise service.AirflowError(f"Airflow refuses the login ({answer.status_code}).")
            client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            yield cls(client, lambda: service.state(home) is not None)

    def _call(self, method: str, path: str, **options: Any) -> Any:
        # A question may be asked again, an order may not; a server that died is started again while its keeper lives.
        patience = _AWAY_SECONDS if method == "GET" else 0.0
        asked = Retrying(
            retry=retry_if_exception_type(httpx.TransportError),
            stop=lambda state: not self._lives() or (state.seconds_since_start or 0.0) >= patience,
            wait=wait_fixed(1),
            reraise=True,
        )
        try:
            answer = asked(self._client.request, method, f"/api/v2{path}", **options)
        except httpx.TransportError as error:
            raise service.AirflowError(
                f"Airflow answers no more ({type(error).__name__}). Start it with `ronghe up` and run again; what was "
                "done stays done."
            ) from None
        if answer.is_error:
            raise service.AirflowError(f"Airflow answers {answer.status_code} to {method} {path}: {answer.text[:300]}")
        return answer.json() if answer.content else None

    def ensure_pool(self, name: str, slots: int, description: str) -> None:
        """Make a pool, or set its size."""
        body = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        if any(pool["name"] == name for pool in self._call("GET", "/pools")["pools"]):
            self._call("PATCH", f"/pools/{name}", json=body)
        else:
            self._call("POST", "/pools", json=body)

    def await_dags(self, dag_ids: set[str], seconds: float = 180) -> None:
        """Wait until Airflow has read the DAGs.

        Raises:
            AirflowError: one is missing in the end; quotes the import errors.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            known = {dag["dag_id"] for dag in self._call("GET", "/dags", params={"limit": 200})["dags"]}
            if dag_ids <= known:
                return
            time.sleep(0.5)
        errors = self._call("GET", "/importErrors")["import_errors"]
        said = "; ".join(error["stack_trace"].strip().splitlines()[-1] for error in errors) or "no import error"
        raise service.AirflowError(f"Airflow has not read {sorted(dag_ids - known)}: {said}")

    @contextmanager
    def held(self, dag_id: str) -> Iterator[None]:
        """Keep a DAG from starting by itself for a while; what it would have been started for is up to the caller."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": True})
        try:
            yield
        finally:
            self.release(dag_id)

    def release(self, dag_id: str) -> None:
        """Let a DAG start by itself."""
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, days: str | None = None) -> str:
        """Start a run and return its id."""
        body = {"logical_date": None, "conf": {"days": days} if days else {}}
        return str(self._call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def runs(self, dag_id: str, limit: int = 10) -> list[dict[str, Any]]:
        """Return the newest runs of a DAG, newest first."""
        params: dict[str, Any] = {"order_by": "-run_after", "limit": limit}
        return list(self._call("GET", f"/dags/{dag_id}/dagRuns", params=params)["dag_runs"])

    def newest_runs(self) -> list[dict[str, Any]]:
        """Return the newest run of each DAG, in the order of the DAGs' ids."""
        dags = [dag["dag_id"] for dag in self._call("GET", "/dags", params={"limit": 200})["dags"]]
        newest = [self.runs(dag_id, 1) for dag_id in sorted(dags)]
        return [run for found in newest for run in found]

    def fail_lost_runs(self) -> list[str]:
        """Mark the runs failed that were going when Airflow was ended; return their DAGs.

        Their tasks are gone, and as only one run of a DAG goes at a time, the next would wait for the heartbeat's
        timeout. Nothing is lost: a run takes whatever is due.
        """
        params = {"state": "running", "limit": 100}
        lost = list(self._call("GET", "/dags/~/dagRuns", params=params)["dag_runs"])
        for run in lost:
            self._call("PATCH", f"/dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})
        return sorted({str(run["dag_id"]) for run in lost})

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run."""
        return str(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[TaskState]:
        """Return the tasks of a run."""
        found = self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return [TaskState(dag_id, t["task_id"], t["state"] or "waiting", t["duration"]) for t in found]

    def _schedules(self) -> bool:
        """Say whether the scheduler reported within Airflow's own patience of half a minute."""
        return bool((self._call("GET", "/monitor/health").get("scheduler") or {}).get("status") == "healthy")

    def _well_since(self, well: float) -> float:
        """Return when the scheduler was last known to be well, which it was at `well`.

        Raises:
            AirflowError: it has stopped, so that no run would ever end.
        """
        quiet = time.monotonic() - well
        if quiet > _ASKED_SECONDS and self._schedules():
            return time.monotonic()
        if quiet > _STOPPED_SECONDS:
            raise service.AirflowError(
                "Airflow's scheduler has stopped. Start it with `ronghe up` and run again; what was done stays done."
            )
        return well

    def follow(
        self,
        runs: list[tuple[str, str]],
        report: Callable[[TaskState], None],
        quiet: Callable[[list[TaskState]], None] = lambda _: None,
    ) -> set[str]:
        """Watch runs until all have ended.

        Args:
            runs: DAG and id of each run.
            report: is told each task when it ends.
            quiet: is told every task that has not ended, when none did for half a minute.

        Returns:
            The DAGs of which a run failed.

        Raises:
            AirflowError: Airflow answers no more, or its scheduler has stopped, so that no run would ever end.
        """
        well = spoken = time.monotonic()
        told: set[tuple[str, str, str]] = set()
        waiting, failed = list(runs), set()
        while waiting:
            going: list[TaskState] = []
            for dag_id, run_id in list(waiting):
                state = self.run_state(dag_id, run_id)
                for task in self.tasks(dag_id, run_id):
                    key = (run_id, task.task_id, task.state)
                    if task.state in _TOLD and key not in told:
                        told.add(key)
                        report(task)
                        spoken = time.monotonic()
                    going += [task] if task.state not in _OVER else []
                if state in ENDED:
                    waiting.remove((dag_id, run_id))
                    failed |= {dag_id} if state == "failed" else set()
            if time.monotonic() - spoken > _QUIET_SECONDS:
                quiet(going)
                spoken = time.monotonic()
            well = self._well_since(well)
            time.sleep(0.5)
        return failed
