"""Free ports for services that tests start."""

import socket
import time

from ronghe.processes import listening


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def await_port(port: int, seconds: float = 30) -> None:
    """Wait until something of this machine listens at a port."""
    deadline = time.monotonic() + seconds
    while not listening("127.0.0.1", port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens at port {port}")
        time.sleep(0.1)
