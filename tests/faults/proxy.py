"""A network that can be cut: a TCP proxy between jobs and the engine."""

import contextlib
import socket
import threading

from tests.ports import free_port


class Proxy:
    """Passes bytes on to a port of loopback until it is told to cut what is connected, or to refuse what comes."""

    def __init__(self, target: int) -> None:
        self.port, self._target = free_port(), target
        self._sockets: set[socket.socket] = set()
        self.accept()

    def accept(self) -> None:
        """Begin to listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """Listen no more."""
        _end(self._listener)

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
