"""The only maker of Spark sessions: on the engine, or inside this process for unit tests.

A server goes on with what a client asked for after the client has died, and may write for minutes. So every session
holds a lock on a file named after it (`service/sessions`), which the operating system frees however its process ends,
and whoever opens a session first ends those whose file nobody holds. What nobody takes up the server itself ends
`engine.ABANDONED_SECONDS` after it has seen that its client is gone.
"""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ronghe import engine
from ronghe.home import Home
from ronghe.locks import holding
from ronghe.processes import listening

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.connect.client.retries import RetryPolicy

# How long the server may be out of reach before a session gives it up.
_LOST_SECONDS = 5.0


@contextlib.contextmanager
def on_engine(home: Home, app: str, address: str | None = None) -> Iterator["SparkSession"]:
    """Open a session of its own on the server and end it afterwards.

    With a dead server the client would retry for ten minutes, so the server is probed first, and again at each retry.
    What sessions of dead processes left on the server is ended before.

    Raises:
        EngineError: nothing listens at the address, or the server was lost while the session was open.
    """
    target = address or engine.url(home)
    host, _, port = target.removeprefix("sc://").partition(";")[0].rstrip("/").partition(":")
    reachable = partial(listening, host, int(port or 15002))
    if not (reachable() and engine.answers(target)):
        raise engine.EngineError(f"The engine at {target} does not answer. Start it with `ronghe up`, then try again.")
    from pyspark.sql import SparkSession

    with _let_in(home) if host == "localhost" else contextlib.nullcontext():
        end_abandoned(home, target)
        spark = SparkSession.builder.remote(target).create()
    spark.client.set_retry_policies([_while_reachable(reachable, _LOST_SECONDS)])
    spark.addTag(app)
    with registered(home, spark.client._session_id) as registration:
        try:
            yield spark
        except Exception:
            if not reachable():
                # The client's own message may quote a plan, and with it rows.
                raise engine.EngineError(
                    f"The engine at {target} was lost while {app} ran. Start it with `ronghe up`, then run {app} "
                    f"again: what was written is not written twice. {engine.why(home)}".rstrip()
                ) from None
            raise
        finally:
            if reachable() and engine.answers(target):
                spark.stop()
                registration.unlink(missing_ok=True)
            else:  # it would never answer that it ended the session
                spark.client.close()


@contextlib.contextmanager
def in_process(home: Home) -> Iterator["SparkSession"]:
    """Open a session inside this process, for unit tests; it takes the lease of the home's lake like a server.

    Raises:
        EngineError: another engine holds the lake.
    """
    from pyspark.sql import SparkSession

    home.make()
    # A session of an engine leaves this in the environment, for this process and those it starts.
    os.environ.pop("SPARK_CONNECT_MODE_ENABLED", None)
    # Workers run under this interpreter, as the server's do.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    skipped = ("spark.connect.", "spark.driver.memory")
    # Hundreds of tests in one session: what is kept about queries that are over filled a heap of the usual 1 GiB.
    own = {"spark.driver.memory": "3g", "spark.ui.retainedJobs": "20", "spark.ui.retainedStages": "20"}
    own |= {"spark.ui.retainedTasks": "200", "spark.sql.ui.retainedExecutions": "20"}
    with engine.lease(home):
        builder = SparkSession.builder.master("local[2]").appName("ronghe-tests")
        for key, value in engine.settings(home, 0).items():
            if not key.startswith(skipped):
                builder = builder.config(key, value)
        for key, value in own.items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()


@contextlib.contextmanager
def _let_in(home: Home) -> Iterator[None]:
    """Let clients that are made meanwhile show the home's token, unless the environment has one.

    A client looks for it in the environment when it is made. In its address errors would quote it; left in the
    environment it would be shown to the engine of another home. For one thread at a time.
    """
    if engine.TOKEN_VARIABLE in os.environ:
        yield
        return
    os.environ[engine.TOKEN_VARIABLE] = engine.token(home)
    try:
        yield
    finally:
        os.environ.pop(engine.TOKEN_VARIABLE, None)


def _while_reachable(reachable: Callable[[], bool], seconds: float) -> "RetryPolicy":
    """Return the client's own policy of retries, but for a server that cannot be reached for so many seconds.

    The state of a session dies with its server, so there is nothing to wait for.
    """
    from pyspark.sql.connect.client.retries import DefaultPolicy

    class WhileReachable(DefaultPolicy):
        lost = False

        def can_retry(self, exception: BaseException) -> bool:
            if not super().can_retry(exception):
                return False
            deadline = time.monotonic() + seconds
            while not self.lost and not reachable():
                self.lost = time.monotonic() > deadline
                time.sleep(0.2)
            return not self.lost

    return WhileReachable()


@contextlib.contextmanager
def registered(home: Home, session_id: str) -> Iterator[Path]:
    """Hold the session's file while its process lives, and give its path: to be removed once the session was ended."""
    path = _folder(home) / session_id
    # Seen by others when it is held, not before.
    hidden = path.with_name(f".{session_id}")
    with holding(hidden):
        hidden.rename(path)
        yield path


def end_abandoned(home: Home, target: str) -> int:
    """End the sessions whose process is gone, with all they were doing; return how many there were."""
    ended = 0
    for path in sorted(_folder(home).glob("[!.]*")):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end(target, path.name)
            path.unlink()
            ended += 1
    return ended


def _end(target: str, session_id: str) -> None:
    """Tell the server that a session is over; it interrupts what the session was doing.

    A server that was started since knows nothing of it, which is as good.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.client import DefaultChannelBuilder, SparkConnectClient

    builder = DefaultChannelBuilder(target)
    builder.set("session_id", session_id)
    client = SparkConnectClient(builder)
    client.set_retry_policies([])
    try:
        with contextlib.suppress(PySparkException):
            client.release_session()
    finally:
        client.close()


def _folder(home: Home) -> Path:
    folder = home.service / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
