"""`ronghe doctor` on the services: what runs in the foreground is told from a stranger at its port."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest

from ronghe import engine
from ronghe.doctor import machine
from ronghe.home import Home
from tests.ports import free_port

WELL = {name: {"status": "healthy"} for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("ENGINE", "AIRFLOW", "SOURCES"):
        monkeypatch.setenv(f"RONGHE_{name}_PORT", str(free_port()))
    return Home(tmp_path).make()


def said(home: Home) -> dict[str, tuple[bool, str]]:
    found = [f for f in machine.findings(home) if f.check.startswith("service: ")]
    return {finding.check.removeprefix("service: "): (finding.ok, finding.said) for finding in found}


@contextmanager
def an_engine() -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None)


@contextmanager
def an_airflow() -> Iterator[int]:
    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(WELL).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_what_runs_in_the_foreground_is_well(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with an_engine() as first, an_airflow() as second, engine.lease(home):
        monkeypatch.setenv("RONGHE_ENGINE_PORT", str(first))
        monkeypatch.setenv("RONGHE_AIRFLOW_PORT", str(second))
        found = said(home)
    assert found["engine"] == (True, f"answers at port {first}, and runs in the foreground")
    assert found["airflow"] == (True, f"answers at port {second}, and runs in the foreground")
    assert "lease" not in found


@pytest.mark.parametrize("name", ["engine", "airflow", "sources"])
def test_a_stranger_at_a_port_is_named(home: Home, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_HANDSHAKE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        # It takes the connection, and hangs up.
        threading.Thread(target=lambda: stranger.accept()[0].close(), daemon=True).start()
        port = stranger.getsockname()[1]
        monkeypatch.setenv(f"RONGHE_{name.upper()}_PORT", str(port))
        assert said(home)[name] == (False, f"another program listens at port {port}")


def test_an_engine_elsewhere_that_holds_the_lake_is_named(home: Home) -> None:
    with engine.lease(home):
        assert said(home)["lease"] == (False, "another engine holds the lake")
