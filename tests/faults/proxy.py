"""A network that can be cut: a TCP proxy between jobs and the engine."""

import contextlib
import socket
import threading
import time

from ronghe.processes import listening
from tests.ports import free_port


class Proxy:
    """Passes bytes on to a port of loopback until it is told to cut what is connected, or to refuse what comes.

    It listens only while its target does: a caller must see a dead engine as one.
    """

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._sockets: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._refuses = False
        threading.Thread(target=self._follow, daemon=True).start()

    def accept(self) -> None:
        """Take connections again."""
        self._refuses = False

    def refuse(self) -> None:
        """Take no connection until told otherwise."""
        self._refuses = True
        self._close()

    def settle(self) -> None:
        """Wait until an engine that has just come up can be reached."""
        deadline = time.monotonic() + 2
        while self._listener is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _follow(self) -> None:
        while True:
            wanted = not self._refuses and listening("127.0.0.1", self._target)
            if wanted and self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port))
                threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
            elif not wanted:
                self._close()
            time.sleep(0.2)

    def _close(self) -> None:
        listener, self._listener = self._listener, None
        if listener:
            _end(listener)

    def cut(self) -> int:
        """Cut every connection; return how many sockets were open."""
        found = list(self._sockets)
        for one in found:
            _end(one)
        return len(found)

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            try:
                answerer = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                _end(caller)
                continue
            answerer.settimeout(None)
            self._sockets |= {caller, answerer}
            for one, other in ((caller, answerer), (answerer, caller)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := one.recv(1 << 16):
                other.sendall(content)
        for each in (one, other):
            self._sockets.discard(each)
            _end(each)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
