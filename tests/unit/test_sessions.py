"""What ties sessions to their server, tried with doors of our own in its place."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from ronghe import engine, sessions
from ronghe.home import Home
from tests.ports import free_port


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the sessions that were ended on the server."""
    found: list[str] = []
    monkeypatch.setattr(sessions, "_end", lambda _, session_id: found.append(session_id))
    return found


def test_session_of_a_process_that_lives_is_left_alone(tmp_path: Path, ended: list[str]) -> None:
    home = Home(tmp_path)
    with sessions.registered(home, "alive") as path:
        assert sessions.end_abandoned(home, "sc://localhost:1") == 0
        assert path.is_file()
    assert ended == []


def test_session_whose_end_was_not_told_is_ended_once(tmp_path: Path, ended: list[str]) -> None:
    home = Home(tmp_path)
    with pytest.raises(KeyboardInterrupt), sessions.registered(home, "stuck"):
        raise KeyboardInterrupt
    assert sessions.end_abandoned(home, "sc://localhost:1") == 1
    assert sessions.end_abandoned(home, "sc://localhost:1") == 0
    assert ended == ["stuck"]


def test_session_that_was_ended_leaves_nothing(tmp_path: Path, ended: list[str]) -> None:
    with sessions.registered(Home(tmp_path), "done") as path:
        path.unlink()
    assert sessions.end_abandoned(Home(tmp_path), "sc://localhost:1") == 0


def test_server_that_takes_connections_and_says_nothing_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        assert not engine.answers(f"sc://localhost:{door.getsockname()[1]}", 0.5)
    assert not engine.answers(f"sc://localhost:{free_port()}", 0.5)


def test_server_that_shakes_hands_answers() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        assert engine.answers(f"sc://localhost:{port}", 10)
    finally:
        server.stop(None)
