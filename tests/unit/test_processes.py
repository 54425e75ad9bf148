"""Processes: a service's state is true or not there, and a group ends with all its children."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ronghe import processes
from ronghe.processes import alive, end_group, group, listening, load_state, save_state

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    started = []

    def run(script: str) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen(["sh", "-c", script], start_new_session=True))
        return started[-1]

    yield run
    for process in started:
        for member in group(process.pid):
            member.kill()
        process.wait(timeout=10)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for(members: int, leader: int) -> list[psutil.Process]:
    wait_until(lambda: len(group(leader)) == members)
    return group(leader)


def test_state_comes_back_while_the_process_lives(tmp_path: Path) -> None:
    saved = save_state(tmp_path / "engine.json", os.getpid(), 15002, "hash")
    assert load_state(tmp_path / "engine.json") == saved
    assert stat.S_IMODE((tmp_path / "engine.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["engine.json"]


def test_state_is_none_when_the_process_is_dead(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait(timeout=30)
    save_state(tmp_path / "engine.json", ended.pid, 15002, "hash")
    assert load_state(tmp_path / "engine.json") is None


def test_state_is_none_when_the_process_is_a_zombie(tmp_path: Path, start: Start) -> None:
    zombie = start("exit 0")
    save_state(tmp_path / "engine.json", zombie.pid, 15002, "hash")
    wait_until(lambda: not alive(zombie.pid))
    assert load_state(tmp_path / "engine.json") is None


def test_state_is_none_when_another_process_has_the_pid_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes.time, "time", lambda: psutil.boot_time() + 1)
    save_state(tmp_path / "engine.json", os.getpid(), 15002, "hash")
    assert load_state(tmp_path / "engine.json") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": 1}', '{"pid": 1, "more": 2}', "null"])
def test_state_is_none_when_the_file_is_broken(content: str, tmp_path: Path) -> None:
    (tmp_path / "engine.json").write_text(content, "utf-8")
    assert load_state(tmp_path / "engine.json") is None


def test_state_is_none_when_there_is_no_file(tmp_path: Path) -> None:
    assert load_state(tmp_path / "engine.json") is None


def test_group_ends_with_its_children(start: Start) -> None:
    leader = start("sleep 300 & sleep 300 & wait")
    members = wait_for(3, leader.pid)
    end_group(leader.pid)
    assert [member for member in members if alive(member.pid)] == []


def test_group_ends_with_a_child_that_left_the_group(start: Start) -> None:
    leader = start("setsid sleep 300 & sleep 300")
    members = wait_for(3, leader.pid)
    wait_until(lambda: any(os.getpgid(member.pid) != leader.pid for member in members))
    end_group(leader.pid)
    assert [member for member in members if alive(member.pid)] == []


def test_group_is_killed_when_it_does_not_listen(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = psutil.wait_procs
    monkeypatch.setattr(psutil, "wait_procs", lambda found, timeout: patient(found, timeout=min(timeout, 0.5)))
    leader = start("trap '' TERM; sleep 300 & wait; while true; do sleep 0.1; done")
    members = wait_for(2, leader.pid)
    end_group(leader.pid)
    assert [member for member in members if alive(member.pid)] == []


def test_ending_a_group_that_is_gone_does_nothing() -> None:
    ended = subprocess.Popen(["true"], start_new_session=True)
    ended.wait(timeout=10)
    end_group(ended.pid)


def test_others_outlive_the_end_of_a_group(start: Start) -> None:
    leader, other = start("sleep 300"), start("sleep 300")
    end_group(leader.pid)
    assert other.poll() is None


def test_nothing_listens_at_a_port_nobody_opened() -> None:
    assert not listening("127.0.0.1", 1, seconds=0.2)
