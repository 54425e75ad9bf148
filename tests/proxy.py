"""A door of TCP before a server of this machine, which may fall shut in the middle of an answer."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

_BYTES = 65536


class Proxy:
    """Passes bytes on until `cut` says that it is time; then every connection breaks off.

    Args:
        port: where the server listens.
        cut: asked before each piece of an answer is passed on, with the number of bytes answered so far; the piece
            is lost when it says yes, once.
        heals: whether new connections are let in afterwards.
    """

    def __init__(self, port: int, cut: Callable[[int], bool], *, heals: bool) -> None:
        self.cuts = 0
        self._target, self._cut, self._heals = port, cut, heals
        self._answered = 0
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._let_in, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._shut()
        self._break_off()

    def _let_in(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._open += [client, server]
                threading.Thread(target=self._pass_on, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass_on, args=(server, client, True), daemon=True).start()

    def _pass_on(self, origin: socket.socket, to: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while piece := origin.recv(_BYTES):
                if answers and self._is_time(len(piece)):
                    return
                to.sendall(piece)
        for end in (origin, to):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_time(self, size: int) -> bool:
        with self._lock:
            self._answered += size
            if self.cuts or not self._cut(self._answered):
                return False
            self.cuts += 1
        if not self._heals:
            self._shut()
        self._break_off()
        return True

    def _shut(self) -> None:
        # A thread that waits in `accept` keeps the door open; a connection that it does not get wakes it.
        with suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _break_off(self) -> None:
        with self._lock:
            found, self._open = self._open, []
        for end in found:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
