"""Processes that Ronghe starts and ends: whole groups, so that no child outlives its parent."""

import contextlib
import hashlib
import json
import os
import secrets
import signal
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ronghe.contracts import ContractError

# A process's start is known to the system's clock tick only.
_CLOCK_SECONDS = 1.0


@dataclass(frozen=True)
class ServiceState:
    """What a state file says of a service. `config` is a hash of what it was started with; `pid` leads its group."""

    pid: int
    port: int
    config: str
    started_at: float


def secret_file(path: Path, content: str | None = None) -> str:
    """Return the secret in a file, made once (random unless given) and readable by the owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(made, "w", encoding="utf-8") as file:
            file.write(content or secrets.token_hex(32))
    return path.read_text(encoding="utf-8")


def given_secret(path: Path) -> str:
    """Return a secret that somebody put in a file, without the end of its line.

    Raises:
        ContractError: the file is missing or empty, or others than its owner may read it.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8").strip()
    except OSError:
        raise ContractError(f"{path} cannot be read: put the secret there, and let this user own it") from None
    if mode & 0o077:
        raise ContractError(f"others can read {path}: run `chmod 600 {path}`")
    if not text:
        raise ContractError(f"{path} is empty: put the secret there")
    return text


def config_hash(inputs: object) -> str:
    """Return a hash of what a service is started with."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def save_state(path: Path, pid: int, port: int, config: str) -> ServiceState:
    """Write a service's state file in one step."""
    found = ServiceState(pid, port, config, time.time())
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
    partial.chmod(0o600)
    partial.replace(path)
    return found


def load_state(path: Path) -> ServiceState | None:
    """Return the state of a service that lives, or none; a process started later under its pid is another one."""
    try:
        found = ServiceState(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if alive(found.pid) and began(found.pid) <= found.started_at + _CLOCK_SECONDS else None


def end_service(path: Path) -> bool:
    """End the service of a state file with all its children, and forget it; say whether it ran."""
    running = load_state(path)
    if running:
        end_group(running.pid)
    path.unlink(missing_ok=True)
    return running is not None


def began(pid: int) -> float:
    """Return when a process was started, in seconds since 1970; one that is gone lies in the future."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return float("inf")


def alive(pid: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    try:
        process = psutil.Process(pid)
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def variables(pid: int) -> dict[str, str]:
    """Return the environment a process of this user was started with.

    Raises:
        ProcessLookupError: it is gone, or is another user's.
    """
    try:
        return dict(psutil.Process(pid).environ())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        raise ProcessLookupError(f"process {pid} does not tell what it was started with") from None


def listening(host: str, port: int, seconds: float = 1.0) -> bool:
    """Say whether something accepts connections at a port."""
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except OSError:
        return False
    return True


def group(leader: int) -> list[psutil.Process]:
    """Return the processes of a group and, with them, all their descendants."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == leader:
                found[process.pid] = process
                found |= {child.pid: child for child in process.children(recursive=True)}
    return list(found.values())


def children(pid: int) -> list[psutil.Process]:
    """Return the processes that a process has started itself and that run."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in psutil.Process(pid).children() if alive(child.pid)]
    return []


def end_group(leader: int) -> None:
    """Ask a group and its descendants to end, and kill what is left after ten seconds."""
    members = group(leader)
    for sign, seconds in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        for member in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(sign)
        _, members = psutil.wait_procs(members, timeout=seconds)
        if not members:
            return
