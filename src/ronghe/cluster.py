"""A Spark standalone cluster of this machine: a master and two workers, one process each, on loopback.

It has the shape of a real one (other processes, serialised closures, shuffles over sockets), so what runs here runs on
a cluster of many machines, whose master `RONGHE_ENGINE_URL`'s server knows.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ronghe.home import Home
from ronghe.processes import end_service, listening, load_state, save_state, secret_file

HOST = "127.0.0.1"
WORKERS = 2
_WORKER_MEMORY = "1536m"
_START_SECONDS = 30.0


class ClusterError(RuntimeError):
    """The cluster does not come up; the message says what to do."""


@dataclass(frozen=True)
class Daemon:
    """A process of the cluster: its name, its Java class, its port and its arguments."""

    name: str
    java_class: str
    port: int
    arguments: tuple[str, ...]


def port() -> int:
    """Return the master's port; the workers' are the next two."""
    return int(os.environ.get("RONGHE_MASTER_PORT", "7077"))


def master_url() -> str:
    """Return the address of the master."""
    return f"spark://{HOST}:{port()}"


def properties_file(home: Home) -> Path:
    """Return the settings every process of the cluster starts with: they let nobody in without the secret.

    The secret stands in a file readable by the owner only, not in a command line.
    """
    path = home.service / "cluster.conf"
    secret = secret_file(home.service / "cluster.secret")
    secret_file(path, f"spark.authenticate true\nspark.authenticate.secret {secret}\n")
    return path


def settings() -> dict[str, str]:
    """Return what the Connect server adds to its settings when its executors are workers of the cluster."""
    return {
        "spark.executor.memory": "1g",
        "spark.executor.cores": "1",
        "spark.cores.max": str(WORKERS),
        "spark.network.crypto.enabled": "true",
        "spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }


def up(home: Home, spark_class: Path, environment: dict[str, str]) -> str:
    """Start what does not run of the cluster; return the master's address.

    Raises:
        ClusterError: a port is busy, or a process does not come up.
    """
    for daemon in _daemons(home):
        if load_state(_state_file(home, daemon.name)) is None:
            _start(home, daemon, spark_class, environment)
    return master_url()


def down(home: Home) -> bool:
    """End the cluster, workers first; say whether it ran."""
    ended = [end_service(_state_file(home, name)) for name in (*_worker_names(), "master")]
    return any(ended)


def _worker_names() -> tuple[str, ...]:
    return tuple(f"worker-{number}" for number in range(1, WORKERS + 1))


def _daemons(home: Home) -> tuple[Daemon, ...]:
    common = ("--host", HOST, "--webui-port", "0", "--properties-file", str(properties_file(home)))
    deploy = "org.apache.spark.deploy"
    workers = (
        Daemon(
            name,
            f"{deploy}.worker.Worker",
            port() + number,
            (
                *(*common, "--port", str(port() + number), "--cores", "1", "--memory", _WORKER_MEMORY),
                *("--work-dir", str(home.engine / "work" / name), master_url()),
            ),
        )
        for number, name in enumerate(_worker_names(), 1)
    )
    return Daemon("master", f"{deploy}.master.Master", port(), (*common, "--port", str(port()))), *workers


def _state_file(home: Home, name: str) -> Path:
    return home.service / f"cluster.{name}.json"


def _start(home: Home, daemon: Daemon, spark_class: Path, environment: dict[str, str]) -> None:
    if listening(HOST, daemon.port):
        raise ClusterError(
            f"Port {daemon.port} is in use by another program. Stop it, or set RONGHE_MASTER_PORT to a port after "
            f"which {WORKERS} more are free."
        )
    log = home.engine / f"{daemon.name}.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [str(spark_class), daemon.java_class, *daemon.arguments],
            env={**environment, "SPARK_LOCAL_IP": HOST, "SPARK_DAEMON_MEMORY": "512m"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    save_state(_state_file(home, daemon.name), process.pid, daemon.port, "")
    deadline = time.monotonic() + _START_SECONDS
    while not listening(HOST, daemon.port):
        if process.poll() is not None or time.monotonic() > deadline:
            down(home)
            raise ClusterError(f"The cluster's {daemon.name} did not come up. Its log is {log}.")
        time.sleep(0.1)
