"""What ties a session to its server: whether it answers, how long it is waited for, and what a dead client left there.

A server goes on with what a client asked for after the client has died, and may write for minutes. So every session
holds a lock on a file named after it (`service/sessions`), which the operating system frees however its process ends,
and whoever opens a session first ends those whose file nobody holds. What nobody takes up the server itself ends
`ABANDONED_SECONDS` after it has seen that its client is gone.
"""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ronghe.home import Home
from ronghe.locks import holding

if TYPE_CHECKING:
    from pyspark.sql.connect.client import DefaultChannelBuilder
    from pyspark.sql.connect.client.retries import RetryPolicy

# How long the server goes on with an operation that no client listens to. One that lives comes back within a second.
ABANDONED_SECONDS = 20
# When it has seen at the latest that nobody listens: after two minutes it ends a stream of answers, for its client to
# take up again (Spark's default of `spark.connect.execute.reattachable.senderMaxStreamDuration`).
NOTICED_SECONDS = 120


def answers(target: str, seconds: float) -> bool:
    """Say whether the server shakes hands: one that is stopped or stuck takes connections and says nothing.

    Args:
        target: address of the server, `sc://host:port`.
        seconds: how long the handshake may take.
    """
    import grpc

    # A connection of its own: one that stands already says nothing about the server's health.
    channel = _builder(target, [("grpc.use_local_subchannel_pool", 1)]).toChannel()
    try:
        grpc.channel_ready_future(channel).result(timeout=seconds)
    except grpc.FutureTimeoutError:
        return False
    finally:
        channel.close()
    return True


def _builder(target: str, options: list[tuple[str, int]] | None = None) -> "DefaultChannelBuilder":
    from pyspark.sql.connect.client import DefaultChannelBuilder

    return DefaultChannelBuilder(target, options)


def while_reachable(reachable: Callable[[], bool], seconds: float) -> "RetryPolicy":
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
    from pyspark.sql.connect.client import SparkConnectClient

    builder = _builder(target)
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
