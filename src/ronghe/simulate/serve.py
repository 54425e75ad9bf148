"""The simulated sources that are asked: an HTTP interface over `upstream/api`, and where each connection leads.

`upstream/api/<path>.jsonl` is served page by page at `/<path>`, as the transport of the feed with that path asks for
it: its names of parameters, its array of records, and its day column, which `since` compares (a record without a day
always comes). Loopback only, one process; `ronghe up` starts it where there is something to serve.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ronghe.contracts import load_feeds
from ronghe.contracts.source import Transport
from ronghe.home import Home
from ronghe.ingest.connections import declare, declared
from ronghe.processes import ServiceState, end_group, end_service, listening, load_state, save_state

HOST = "127.0.0.1"
_START_SECONDS = 20


class SourcesError(RuntimeError):
    """The simulated sources cannot be started; the message says what to do."""


@dataclass(frozen=True)
class _Answer:
    status: int
    body: dict[str, Any]


def answer(folder: Path, target: str, transports: dict[str, Transport]) -> _Answer:
    """Return what is served at an address.

    Args:
        folder: the folder of the files.
        target: path and query of the request.
        transports: of each path, without the slash before it.
    """
    asked = urlsplit(target)
    path = asked.path.strip("/")
    transport = transports.get(path)
    file = folder / f"{path}.jsonl"
    if transport is None or not file.exists():
        return _Answer(404, {"error": "nothing is served here"})
    query = {name: values[-1] for name, values in parse_qs(asked.query).items()}
    try:
        page = int(query.get(transport.page_param, "1"))
        size = int(query.get(transport.size_param, "100"))
    except ValueError:
        page = size = 0
    if page < 1 or size < 1:
        return _Answer(400, {"error": "page and size are numbers from 1"})
    since = query.get(transport.since_param, "")
    records = [text for day, text in _records(file, file.stat().st_mtime_ns, transport.day_column) if day >= since]
    found = [json.loads(text) for text in records[(page - 1) * size : page * size]]
    return _Answer(200, {"total": len(records), "page": page, "size": size, **_nested(transport.records, found)})


@lru_cache(maxsize=8)
def _records(file: Path, changed: int, day_column: str) -> list[tuple[str, str]]:  # noqa: ARG001 - a changed file is read anew
    """Return the day and the text of each record."""
    lines = file.read_text("utf-8").splitlines()
    return [(str(json.loads(line).get(day_column) or "9999")[:10], line) for line in lines]


def _nested(names: str, value: Any) -> dict[str, Any]:
    """Return a value at a dotted path."""
    for name in reversed(names.split(".")):
        value = {name: value}
    return dict(value)


def server(folder: Path, transports: dict[str, Transport], at_port: int) -> ThreadingHTTPServer:
    """Return a server over a folder; port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answer(folder, self.path, transports)
            body = json.dumps(found.body, ensure_ascii=False).encode()
            self.send_response(found.status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing of what went well."""

    return ThreadingHTTPServer((HOST, at_port), Handler)


def asked_transports(kind: str) -> list[Transport]:
    """Return the transports of one kind that feeds declare."""
    return [feed.transport for feed in load_feeds().values() if feed.transport and feed.transport.kind == kind]


def by_path() -> dict[str, Transport]:
    """Return the declared transports of paged interfaces by path."""
    return {str(transport.path).strip("/"): transport for transport in asked_transports("http_pages")}


def connect(home: Home) -> None:
    """Say in the home's connections where the simulated sources are; what a person has entered there stays."""
    urls = {}
    for transport in asked_transports("database"):
        file = home.upstream / f"{transport.connection}.sqlite"
        if file.exists():
            urls[transport.connection] = f"sqlite:///{file}"
    for path, transport in by_path().items():
        if (home.upstream / "api" / f"{path}.jsonl").exists():
            urls[transport.connection] = f"http://{HOST}:{port()}"
    known = declared(home)
    declare(home, {name: url for name, url in urls.items() if name not in known or _is_ours(home, name, known[name])})


def _is_ours(home: Home, name: str, url: str) -> bool:
    """Say whether an address leads to a simulated source, of this home or of the place it was moved from."""
    return url.startswith(f"http://{HOST}:") or url.endswith(f"/{home.upstream.name}/{name}.sqlite")


def port() -> int:
    """Return the port of the simulated sources."""
    return int(os.environ.get("RONGHE_SOURCES_PORT", "8090"))


def state(home: Home) -> ServiceState | None:
    """Return the state of the running server, or none."""
    return load_state(_state_file(home))


def _state_file(home: Home) -> Path:
    return home.service / "sources.json"


def up(home: Home) -> ServiceState | None:
    """Start the server where there is something to serve, or return the one that runs.

    Raises:
        SourcesError: its port is busy, or it does not come up.
    """
    folder = home.upstream / "api"
    if not folder.exists():
        return None
    connect(home)
    running = state(home)
    config = f"{folder}:{port()}"
    if running and running.config == config and listening(HOST, running.port):
        return running
    down(home)
    if listening(HOST, port()):
        raise SourcesError(f"Port {port()} is in use by another program. Stop it, or set RONGHE_SOURCES_PORT.")
    log = home.logs / "sources.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "ronghe.simulate.serve", str(folder), str(port())],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    while not listening(HOST, port()):
        if process.poll() is not None or time.monotonic() > deadline:
            end_group(process.pid)
            raise SourcesError(f"The simulated sources do not come up. Their log is {log}.")
        time.sleep(0.1)
    return save_state(_state_file(home), process.pid, port(), config)


def down(home: Home) -> bool:
    """End the server; say whether it ran."""
    return end_service(_state_file(home))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    server(given.folder, by_path(), given.port).serve_forever()
