"""A Spark standalone cluster: a master and two workers of this machine on loopback, or one that others run.

The one of this machine has the shape of a real one: other processes, serialised closures, shuffles over sockets.
`RONGHE_MASTER` names a master that others run (`spark://host:port`), `RONGHE_HOSTNAME` what the cluster calls this
machine. Everybody in a cluster knows one secret: `service/cluster.secret`, or the file that
`RONGHE_CLUSTER_SECRET_FILE` names.
"""

import os
import socket
import subprocess
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, NoReturn

from ronghe import __version__, spill
from ronghe.home import Home
from ronghe.processes import config_hash, end_service, given_secret, listening, load_state, save_state, secret_file

HOST_VARIABLE, MASTER_VARIABLE = "RONGHE_HOSTNAME", "RONGHE_MASTER"
SECRET_VARIABLE = "RONGHE_CLUSTER_SECRET_FILE"  # noqa: S105 - a name
WORKERS = 2
# Where a worker listens that has a machine of its own.
WORKER_PORT = 7078
_DEPLOY = "org.apache.spark.deploy"
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


def hostname() -> str:
    """Return what other processes of the cluster call this machine; `auto` stands for its own name."""
    named = os.environ.get(HOST_VARIABLE, "127.0.0.1")
    return socket.gethostname() if named == "auto" else named


def master_url() -> str:
    """Return the address of the master."""
    return os.environ.get(MASTER_VARIABLE, f"spark://{hostname()}:{port()}")


def properties_file(home: Home) -> Path:
    """Return the settings every process of the cluster starts with: nobody is let in without the secret.

    All they say is enciphered. The secret stands in a file readable by the owner only, not in a command line.

    Raises:
        ContractError: the file with the secret that the environment names is missing, or others may read it.
    """
    path = home.service / "cluster.conf"
    given = os.environ.get(SECRET_VARIABLE)
    secret = given_secret(Path(given)) if given else secret_file(home.service / "cluster.secret").strip()
    lines = ("spark.authenticate true", f"spark.authenticate.secret {secret}", "spark.network.crypto.enabled true")
    said = "".join(f"{line}\n" for line in lines)
    if not path.exists() or path.read_text("utf-8") != said:  # the secret was changed
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        secret_file(partial, said)
        partial.replace(path)
    return path


def settings() -> dict[str, str]:
    """Return what the Connect server adds to its settings when its executors are workers of the cluster."""
    return {
        "spark.executor.memory": os.environ.get("RONGHE_EXECUTOR_MEMORY", "1g"),
        "spark.executor.cores": "1",
        "spark.network.crypto.enabled": "true",
        "spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }


def config(home: Home) -> list[object]:
    """Return what the Connect server and the daemons of this machine are started with."""
    return [master_url(), settings(), _secret(home), *(_config(home, daemon) for daemon in _daemons(home))]


def _config(home: Home, daemon: Daemon) -> str:
    return config_hash([asdict(daemon), _secret(home), os.environ.get("JAVA_HOME"), __version__])


def _secret(home: Home) -> str:
    return properties_file(home).read_text("utf-8")


def _fits(home: Home, daemon: Daemon) -> bool:
    """Say whether a daemon runs as it would be started."""
    running = load_state(_state_file(home, daemon.name))
    return running is not None and running.config == _config(home, daemon)


def up(home: Home, spark_class: Path, environment: dict[str, str]) -> str:
    """Start what does not run of this machine's cluster, anew what runs with other settings.

    Returns:
        The master's address, be it others'.

    Raises:
        ClusterError: a port is busy, or a process does not come up.
    """
    fitting = {daemon.name for daemon in _daemons(home) if _fits(home, daemon)}
    down(home, fitting)
    for daemon in _daemons(home):
        if daemon.name not in fitting:
            _start(home, daemon, spark_class, environment)
    return master_url()


def down(home: Home, keep: Container[str] = ()) -> bool:
    """End the cluster, workers first, but for the daemons to keep; say whether any of it ran."""
    ended = [end_service(_state_file(home, name)) for name in (*_worker_names(), "master") if name not in keep]
    return any(ended)


def _worker_names() -> tuple[str, ...]:
    return tuple(f"worker-{number}" for number in range(1, WORKERS + 1))


def _daemons(home: Home) -> tuple[Daemon, ...]:
    """Return the daemons of this machine, the master first; none where the cluster is others'."""
    if MASTER_VARIABLE in os.environ:
        return ()
    return master(home), *(worker(home, name, port() + n) for n, name in enumerate(_worker_names(), 1))


def master(home: Home) -> Daemon:
    """Return the master as it is started on this machine."""
    return Daemon("master", f"{_DEPLOY}.master.Master", port(), (*_common(home), "--port", str(port())))


def worker(home: Home, name: str, own_port: int) -> Daemon:
    """Return a worker of this machine with one core (`RONGHE_WORKER_CORES`), which asks the master for work."""
    cores = os.environ.get("RONGHE_WORKER_CORES", "1")
    memory = os.environ.get("RONGHE_WORKER_MEMORY", "1536m")
    arguments = (*_common(home), "--port", str(own_port), "--cores", cores, "--memory", memory)
    work = ("--work-dir", str(home.engine / "work" / name))
    return Daemon(name, f"{_DEPLOY}.worker.Worker", own_port, (*arguments, *work, master_url()))


def _common(home: Home) -> tuple[str, ...]:
    return ("--host", hostname(), "--webui-port", "0", "--properties-file", str(properties_file(home)))


def daemon_environment(home: Home, daemon: Daemon, environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of a daemon: it listens at this machine's name only, and spills into its own folder."""
    own = {"SPARK_LOCAL_IP": hostname(), "SPARK_DAEMON_MEMORY": "512m"}
    return {**environment, **own, **spill.environment(home.spill / daemon.name)}


def become(home: Home, daemon: Daemon, spark_class: Path, environment: dict[str, str]) -> NoReturn:
    """Turn this process into a daemon: for a container, whose life is the daemon's.

    Raises:
        ClusterError: another one of its name works in this home.
    """
    home.make()
    with _spill(home, daemon) as lock:
        os.set_inheritable(lock.fileno(), True)
        command = [str(spark_class), daemon.java_class, *daemon.arguments]
        os.execve(command[0], command, daemon_environment(home, daemon, environment))


@contextmanager
def _spill(home: Home, daemon: Daemon) -> Iterator[IO[str]]:
    folder = home.spill / daemon.name
    try:
        with spill.held(folder) as lock:
            yield lock
    except spill.SpillHeld:
        raise ClusterError(f"Another {daemon.name} works in {folder}. End it, or set RONGHE_HOME.") from None


def _state_file(home: Home, name: str) -> Path:
    return home.service / f"cluster.{name}.json"


def _start(home: Home, daemon: Daemon, spark_class: Path, environment: dict[str, str]) -> None:
    if listening(hostname(), daemon.port):
        raise ClusterError(
            f"Port {daemon.port} is in use by another program. Stop it, or set RONGHE_MASTER_PORT to a port after "
            f"which {WORKERS} more are free."
        )
    log = home.engine / f"{daemon.name}.log"
    with _spill(home, daemon) as lock, log.open("ab") as file:
        process = subprocess.Popen(
            [str(spark_class), daemon.java_class, *daemon.arguments],
            env=daemon_environment(home, daemon, environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )
    save_state(_state_file(home, daemon.name), process.pid, daemon.port, _config(home, daemon))
    deadline = time.monotonic() + _START_SECONDS
    while not listening(hostname(), daemon.port):
        if process.poll() is not None or time.monotonic() > deadline:
            down(home)
            raise ClusterError(f"The cluster's {daemon.name} did not come up. Its log is {log}.")
        time.sleep(0.1)
