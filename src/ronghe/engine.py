"""The engine: a Spark Connect server beside the lake, and who may be it.

One machine: `up` starts a server bound to loopback with a token. Delta's commit on a local file system is atomic only
inside one JVM, so the server inherits a lock on the lake's root (the lease); the operating system frees it when the
JVM ends, however it ends, and a second JVM is refused. In a cluster this server is the driver.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NoReturn

from ronghe import __version__, cluster, jars, spill, stores
from ronghe.home import Home
from ronghe.locks import holding
from ronghe.processes import (
    ServiceState,
    config_hash,
    end_group,
    end_service,
    group,
    listening,
    load_state,
    save_state,
    secret_file,
)

# Airflow's pool of the engine: every task that talks to it takes a slot; two keep two cores busy.
POOL, POOL_SLOTS, POOL_SAID = "engine", 2, "Slots of the one Spark engine"
# Where the work is done: `embedded` in the server itself, `cluster` in workers of their own (`ronghe up --engine`).
KIND_VARIABLE, EMBEDDED, CLUSTER = "RONGHE_ENGINE", "embedded", "cluster"
TOKEN_VARIABLE = "SPARK_CONNECT_AUTHENTICATE_TOKEN"  # noqa: S105 - the variable's name, not a token
_START_SECONDS = 300
# How long a server may be stuck.
_STUCK_SECONDS = 15.0
# How long a server goes on with an operation that no client listens to. One that lives comes back within a second.
ABANDONED_SECONDS = 20
# When it has seen at the latest that nobody listens: after two minutes it ends a stream of answers, for its client to
# take up again (Spark's default of `spark.connect.execute.reattachable.senderMaxStreamDuration`).
NOTICED_SECONDS = 120
# What stands in the log before the words of each server.
_BEGINS = b"A server of Ronghe begins.\n"
# A Connect server leaks a little with each session (SPARK-54055); a fresh one costs five seconds.
_RECYCLE_AGE_SECONDS = 6 * 3600
_RECYCLE_BYTES = 8 * 2**30


class EngineError(RuntimeError):
    """The engine cannot be started or does not answer; the message says what to do."""


def settings(home: Home, port: int) -> dict[str, str]:
    """Return the server's Spark settings; defaults made for clusters are cut to one machine.

    Measured on two cores: `snapshotPartitions` 50 -> 2 halves a MERGE, `parallelPartitionDiscovery` 10000 -> 4 takes
    OPTIMIZE and VACUUM from 40 s to 5 s.
    """
    cores = os.cpu_count() or 2
    stored = stores.spark_settings(map(home.lake_root, ("restricted", "open")))
    wanted = ("engine", "s3") if stored else ("engine",)
    return {
        "spark.jars": ",".join(str(jar) for jar in jars.checked(*wanted)),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(port),
        "spark.connect.session.manager.defaultSessionTimeout": "30m",
        "spark.connect.execute.manager.detachedTimeout": f"{ABANDONED_SECONDS}s",
        "spark.connect.execute.manager.maintenanceInterval": "5s",
        # A server without memory would live on half dead; one that ends is started again by the next task.
        # So would one whose code cache is full: nothing is compiled any more, and a method handle without room in it
        # stops the server's context. Plans become classes, so what Java reserves by itself is little.
        "spark.driver.extraJavaOptions": "-XX:+ExitOnOutOfMemoryError -XX:ReservedCodeCacheSize=512m",
        "spark.driver.bindAddress": cluster.hostname(),
        "spark.driver.host": cluster.hostname(),
        "spark.driver.memory": os.environ.get("RONGHE_ENGINE_MEMORY", "4g"),
        "spark.local.dir": str(home.spill),
        "spark.sql.warehouse.dir": str(home.engine / "warehouse"),
        "spark.log.level": "WARN",
        # Declarations become columns: where each was made is always the same line of ours, and noting it costs a
        # classic session four calls a column, a quarter of its time, and every job a search for IPython.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        # Declarations become SQL text; `${...}` in them is text, not a setting to look up.
        "spark.sql.variable.substitute": "false",
        "spark.sql.shuffle.partitions": str(2 * cores),
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(2 * cores),
        # Daily commits of VACUUM would have Delta clean its log until the write that made the rows is not in it.
        "spark.databricks.delta.vacuum.logging.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.databricks.delta.properties.defaults.enableDeletionVectors": "false",
        "spark.databricks.delta.optimize.maxThreads": str(cores),
        **stored,
    }


def kind() -> str:
    """Return which engine `up` starts.

    Raises:
        EngineError: the environment names another one.
    """
    named = os.environ.get(KIND_VARIABLE, EMBEDDED)
    if named not in (EMBEDDED, CLUSTER):
        raise EngineError(f"{KIND_VARIABLE} is {named!r}: {EMBEDDED} and {CLUSTER} are known.")
    return named


def token(home: Home) -> str:
    """Return the token of the home's engine, made once and readable by the owner only."""
    return secret_file(home.service / "engine.token")


def state(home: Home) -> ServiceState | None:
    """Return the running server's state, or none where no server of this home lives."""
    return load_state(_state_file(home))


def _state_file(home: Home) -> Path:
    return home.service / "engine.json"


def up(home: Home) -> ServiceState:
    """Start the home's server, or return the one that runs with the same settings and answers.

    Raises:
        EngineError: no JDK, busy port, another engine holds the lake, or the server does not come up.
    """
    home.make()
    port = int(os.environ.get("RONGHE_ENGINE_PORT", "15002"))
    with holding(home.service / "engine.start.lock"):
        config = _config(home, port)
        running = state(home)
        if running and running.config == config and _answers(running):
            return running
        if running:
            down(home)
        return _start(home, port, config)


def answers(target: str, seconds: float = _STUCK_SECONDS) -> bool:
    """Say whether the server shakes hands: one that is stopped or stuck takes connections and says nothing.

    Args:
        target: address of the server, `sc://host:port`.
        seconds: how long the handshake may take.
    """
    import grpc
    from pyspark.sql.connect.client import DefaultChannelBuilder

    # A connection of its own: one that stands already says nothing about the server's health.
    channel = DefaultChannelBuilder(target, [("grpc.use_local_subchannel_pool", 1)]).toChannel()
    try:
        grpc.channel_ready_future(channel).result(timeout=seconds)
    except grpc.FutureTimeoutError:
        return False
    finally:
        channel.close()
    return True


def _answers(running: ServiceState) -> bool:
    return answers(local_url(running.port))


def local_url(port: int) -> str:
    """Return the address of a server of this machine."""
    # The client speaks plain text with a token only to a host that is literally `localhost`.
    return f"sc://localhost:{port}"


def _config(home: Home, port: int) -> str:
    of_cluster = cluster.config(home) if kind() == CLUSTER else None
    # Python workers of the server keep the code that they have imported.
    return config_hash([settings(home, port), of_cluster, os.environ.get("JAVA_HOME"), __version__])


def _start(home: Home, port: int, config: str) -> ServiceState:
    if listening("127.0.0.1", port):
        raise EngineError(
            f"Port {port} is in use by another program. Stop it, or set RONGHE_ENGINE_PORT to a free port."
        )
    with lease(home) as lock, (home.engine / "engine.log").open("ab") as log:
        command = _command(home, port)
        log.write(_BEGINS)
        log.flush()
        process = subprocess.Popen(
            command,
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock.fileno(),),
            start_new_session=True,
        )
    _await_start(process, port, home)
    return save_state(_state_file(home), process.pid, port, config)


def _command(home: Home, port: int) -> list[str]:
    options = [part for key, value in settings(home, port).items() for part in ("--conf", f"{key}={value}")]
    return [
        str(spark_program("spark-submit")),
        *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
        *options,
        *_where(home),
        "spark-internal",
    ]


def _where(home: Home) -> list[str]:
    """Return the arguments that say where the work is done; starts the cluster where it is one, else ends it."""
    if kind() == EMBEDDED:
        cluster.down(home)
        return ["--master", f"local[{os.cpu_count() or 2}]"]
    try:
        master = cluster.up(home, spark_program("spark-class"), environment(home))
    except cluster.ClusterError as error:
        raise EngineError(str(error)) from None
    options = [part for key, value in cluster.settings().items() for part in ("--conf", f"{key}={value}")]
    return ["--master", master, "--properties-file", str(cluster.properties_file(home)), *options]


def environment(home: Home) -> dict[str, str]:
    """Return the environment of every process of the engine."""
    return {
        **os.environ,
        **spill.environment(home.spill),
        TOKEN_VARIABLE: token(home),
        "SPARK_HOME": str(_spark_home()),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_NO_DAEMONIZE": "1",
        # Each core has a Python worker of its own; threads of numpy's would only wait for one another (4 times slower).
        "OPENBLAS_NUM_THREADS": "1",
    }


def spark_program(name: str) -> Path:
    """Return a program of the Spark that is installed beside us.

    Raises:
        EngineError: there is none.
    """
    return _spark_home() / "bin" / name


def _spark_home() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise EngineError("pyspark is not installed. Run `make setup`.")
    return Path(spec.origin).parent


@contextlib.contextmanager
def lease(home: Home) -> Iterator[IO[str]]:
    """Take the right to write the home's lake; children that inherit the file keep it until they end.

    Raises:
        EngineError: another JVM holds it.
    """
    home.restricted_lake.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        try:
            lock = held.enter_context(holding(home.restricted_lake / ".lease", wait=False))
        except BlockingIOError:
            raise EngineError(
                f"Another engine writes the lake in {home.root}. End it (`ronghe down`), or set RONGHE_HOME."
            ) from None
        spill.clear(home.spill)
        yield lock


def become(home: Home) -> NoReturn:
    """Turn this process into the home's server: for a container, whose life is the server's.

    Raises:
        EngineError: another engine holds the lake, or its cluster does not come up.
    """
    home.make()
    port = int(os.environ.get("RONGHE_ENGINE_PORT", "15002"))
    with lease(home) as lock:
        command = _command(home, port)
        os.set_inheritable(lock.fileno(), True)
        os.execve(command[0], command, environment(home))


def _await_start(process: "subprocess.Popen[bytes]", port: int, home: Home) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise EngineError(f"The engine ended at its start. {why(home)}")
        if listening("127.0.0.1", port):
            return
        time.sleep(0.1)
    end_group(process.pid)
    raise EngineError(f"The engine did not answer within {_START_SECONDS} s. {why(home)}")


def why(home: Home) -> str:
    """Return the likely cause, read from the end of the engine's log; nothing where it runs elsewhere."""
    log = home.engine / "engine.log"
    if not log.exists():
        return ""
    tail = log.read_text(encoding="utf-8", errors="replace").rpartition(_BEGINS.decode())[2][-4000:]
    if "JAVA_HOME is not set" in tail or "java: not found" in tail or "java: command not found" in tail:
        return "There is no Java: install a JDK 17 (Debian: apt-get install openjdk-17-jdk-headless)."
    if "No space left on device" in tail:
        return f"The disk of {home.root} is full: free some space, or set RONGHE_HOME."
    if "OutOfMemoryError" in tail:
        return "Its memory ran out: raise RONGHE_ENGINE_MEMORY (docs/runbooks/engine-does-not-answer.md)."
    return f"Its log is {log}."


def down(home: Home) -> bool:
    """End the home's server with all its children, and its cluster; say whether there was one."""
    ended = end_service(_state_file(home))
    return cluster.down(home) or ended


def recycle_if_due(home: Home) -> bool:
    """Start the server afresh if it is old or large; the caller makes sure that no job uses it.

    Returns:
        Whether it was started afresh.
    """
    running = state(home)
    if running is None:
        return False
    size = sum(p.memory_info().rss for p in group(running.pid))
    if time.time() - running.started_at < _RECYCLE_AGE_SECONDS and size < _RECYCLE_BYTES:
        return False
    down(home)
    up(home)
    return True


def url(home: Home) -> str:
    """Return the address of the Connect server jobs talk to.

    Raises:
        EngineError: no server of this home runs and the environment names none.
    """
    if named := os.environ.get("RONGHE_ENGINE_URL"):
        return named
    running = state(home)
    if running is None:
        raise EngineError(f"No engine runs for {home.root}. Start it with `ronghe up`.")
    return local_url(running.port)


def revive_if_lost(home: Home) -> bool:
    """Start the home's server again if it was started by `up` and has died or got stuck since; say whether it had.

    Raises:
        EngineError: as for `up`.
    """
    running = state(home)
    if not _state_file(home).exists() or (running and _answers(running)):
        return False
    up(home)
    return True
