"""The machine: what must be installed, room, ports, rights of folders and keys, and services alive or dead."""

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from ronghe import engine, jars, stores
from ronghe.doctor.findings import Finding, well, wrong
from ronghe.home import Home
from ronghe.orchestration import service
from ronghe.privacy.keys import key_fault
from ronghe.processes import listening, load_state
from ronghe.simulate import serve

_GIB = 2**30
# Spark 4.2 runs on these; the locked Python packages are for one Python.
_PYTHON, _JAVA = (3, 11), ("17", "21")
# A compaction writes the largest table a second time; below this a night does not end.
_FREE_BYTES = 2 * _GIB
# What Airflow and its tasks need beside the engine.
_BESIDE_BYTES = 2 * _GIB
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
# How long a server that somebody else started may take to show what it is.
_HANDSHAKE_SECONDS = 5.0


def findings(home: Home) -> Iterator[Finding]:
    """Look at the machine as this user of it does."""
    yield _python()
    yield _java()
    yield _jars(home)
    yield _disk(home)
    yield _memory()
    yield from _folders(home)
    yield from _keys(home)
    yield from _services(home)


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] == _PYTHON:
        return well("machine: Python", found)
    return wrong("machine: Python", f"{found}, and the lock is for 3.11", "Install Python 3.11, then `make setup`.")


def _java() -> Finding:
    install = "Install a JDK 17 (Debian: apt-get install openjdk-17-jdk-headless), or set JAVA_HOME to one."
    home = os.environ.get("JAVA_HOME")
    try:
        said = subprocess.run(
            [str(Path(home) / "bin" / "java") if home else "java", "-version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        ).stderr
    except OSError:
        return wrong("machine: Java", "there is none", install)
    found = re.search(r'version "([^"]+)"', said)
    version = found[1] if found else "unknown"
    if version.split(".")[0] in _JAVA:
        return well("machine: Java", version)
    return wrong("machine: Java", f"{version}, and Spark wants {' or '.join(_JAVA)}", install)


def _jars(home: Home) -> Finding:
    remote = any(map(stores.is_remote, map(home.lake_root, ("restricted", "open"))))
    try:
        found = jars.checked(*("engine", "s3") if remote else ("engine",))
    except jars.JarError as error:
        return wrong("machine: jars", "not the locked ones", str(error))
    return well("machine: jars", f"{len(found)}, each the locked file")


def _disk(home: Home) -> Finding:
    there = next(folder for folder in (home.root, *home.root.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free >= _FREE_BYTES:
        return well("machine: disk", f"{free / _GIB:.1f} GiB free")
    return wrong("machine: disk", f"only {free / _GIB:.1f} GiB free", "See docs/runbooks/disk-full.md.")


def _memory() -> Finding:
    total, wanted = psutil.virtual_memory().total, _engine_bytes() + _BESIDE_BYTES
    if total >= wanted:
        return well("machine: memory", f"{total / _GIB:.1f} GiB")
    said = f"{total / _GIB:.1f} GiB, and engine and Airflow want {wanted / _GIB:.1f}"
    return wrong("machine: memory", said, "Set RONGHE_ENGINE_MEMORY lower (2g does for small lakes).")


def _engine_bytes() -> int:
    """Return the engine's memory as the JVM reads it: a number and k, m, g or t; 4 GiB where it says nothing else."""
    found = re.fullmatch(r"(\d+)([kmgt])b?", os.environ.get("RONGHE_ENGINE_MEMORY", "4g").lower())
    return int(found[1]) * _UNITS[found[2]] if found else 4 * _GIB


def _folders(home: Home) -> Iterator[Finding]:
    """Look whether every folder can be written, and whether the closed ones are closed."""
    closed = (home.root / "restricted", home.service, home.keys)
    written = (home.landing, home.engine, home.restricted_lake, home.open_lake, home.releases, home.docs, home.logs)
    for folder in (*closed, *written):
        if not folder.exists():
            continue  # made at the first start
        check = f"folder: {folder.relative_to(home.root)}"
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield wrong(check, "this user cannot write in it", f"Give this user the right (`ls -ld {folder}`).")
        elif folder in closed and mode & 0o077:
            yield wrong(check, f"others may look into it (mode {mode:03o})", f"Run `chmod 700 {folder}`.")
        else:
            yield well(check, f"written by this user, mode {mode:03o}")


def _keys(home: Home) -> Iterator[Finding]:
    """Look whether token keys are as they were made; their content is not told."""
    found = sorted(home.keys.glob("*.key")) if os.access(home.keys, os.R_OK | os.X_OK) else []
    for path in found:
        if said := key_fault(path):
            yield wrong(f"key: {path.stem}", said, "See docs/runbooks/secret-wrong.md.")
    yield well("keys", f"{len(found)} looked at")


def _services(home: Home) -> Iterator[Finding]:
    """Look at each service: alive and answering, dead beside a state file, or a stranger at its port.

    What `ronghe serve` runs in the foreground, as containers do, has no state file: it is known by its answer.
    """
    ports = {
        "engine": int(os.environ.get("RONGHE_ENGINE_PORT", "15002")),
        "airflow": service.port(),
        "sources": serve.port(),
    }
    served = set[str]()
    for name, port in ports.items():
        path, check = home.service / f"{name}.json", f"service: {name}"
        running = load_state(path)
        if running and listening("127.0.0.1", running.port):
            yield well(check, f"answers at port {running.port}")
        elif running:
            yield wrong(check, f"runs as process {running.pid} and does not answer", "Run `ronghe down`, `ronghe up`.")
        elif path.exists():
            yield wrong(check, "is dead, and its state file is left", "Run `ronghe up`, or `ronghe down` to forget it.")
        elif _is_served(name, port):
            served.add(name)
            yield well(check, f"answers at port {port}, and runs in the foreground")
        elif listening("127.0.0.1", port):
            variable = f"RONGHE_{name.upper()}_PORT"
            yield wrong(check, f"another program listens at port {port}", f"End it, or set {variable} to a free port.")
        else:
            yield well(check, f"is down; port {port} is free")
    if engine.state(home) is None and "engine" not in served and _leased(home):
        mend = "End the other engine, or set RONGHE_HOME to another folder."
        yield wrong("service: lease", "another engine holds the lake", mend)


def _is_served(name: str, port: int) -> bool:
    """Say whether what listens at a port is the service that belongs there, whoever started it."""
    if not listening("127.0.0.1", port):
        return False
    if name == "engine":
        return engine.answers(engine.local_url(port), _HANDSHAKE_SECONDS)
    return name == "airflow" and service.is_well(port)


def _leased(home: Home) -> bool:
    """Say whether a JVM that no state file names holds the lake."""
    if not (home.restricted_lake / ".lease").exists():
        return False
    try:
        with engine.lease(home):
            return False
    except engine.EngineError:
        return True
    except OSError:
        return False  # told as a folder that cannot be written
