"""Addresses of sources and databases from Airflow's secrets backend, handed to a job as the variables it reads.

Contracts hold names only. The name of a connection is its id in Airflow: in the backend that
`AIRFLOW__SECRETS__BACKEND` sets (a vault, a file), else in `AIRFLOW_CONN_<ID>`. A variable that is set already comes
first, and a name that no backend knows is left to the home's `connections.yaml`. Where the backend does not answer the
task fails: what stands in a later place, or the default, may be another system.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow.sdk.log import mask_secret

from ronghe.contracts import Extract, Feed
from ronghe.job import JobFailed

# SQLAlchemy's name of what Airflow calls by an older one.
_SCHEMES = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


def of_feed(feed: Feed | None) -> dict[str, str]:
    """Return the variable that a feed's job reads, with the id of the connection that fills it."""
    return {_variable(feed.transport.connection): feed.transport.connection} if feed and feed.transport else {}


def of_extracts(extracts: Iterable[Extract]) -> dict[str, str]:
    """Return the variables of the databases extracts are loaded into; one without a connection has `release_<id>`."""
    return {
        _variable(e.connection) if e.connection else f"RONGHE_RELEASE_URL_{e.id.upper()}": e.connection
        or f"release_{e.id}"
        for e in extracts
    }


def _variable(connection: str) -> str:
    return f"RONGHE_CONNECTION_{connection.upper()}"


@contextmanager
def provided(wanted: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process from the backend while a job runs; what they hold is masked in its logs.

    Args:
        wanted: ids of connections by variable.

    Raises:
        JobFailed: a backend does not answer; the job was not begun.
    """
    found = {variable: _looked_up(name) for variable, name in wanted.items() if variable not in os.environ}
    addresses = {variable: address for variable, address in found.items() if address}
    os.environ.update(addresses)
    try:
        yield
    finally:
        for variable in addresses:
            del os.environ[variable]


def _looked_up(name: str) -> str | None:
    connection = _asked(name)
    if connection is None:
        return None
    address = address_of(connection)
    written = urlsplit(address).password
    mask_secret(connection.extra_dejson)
    for secret in {address, connection.password, written, unquote(written or "")} - {None, ""}:
        mask_secret(secret)
    return address


def _asked(name: str) -> Any:
    """Return a connection from the first backend that has it, none where none has.

    `BaseHook.get_connection` would go on to the next one where a backend fails, and say `not defined` in the end.

    Raises:
        JobFailed: a backend fails; its own message may hold its address or token.
    """
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    for backend in ensure_secrets_backend_loaded():
        try:
            found = backend.get_connection(conn_id=name)
        except Exception as error:
            raise JobFailed(
                f"connection {name!r} was not looked up: {type(backend).__name__} does not answer or cannot be read "
                f"({type(error).__name__}). Nothing was done. See docs/runbooks/secret-wrong.md."
            ) from None
        if found:
            return found
    return None


def address_of(connection: Any) -> str:
    """Return a connection's address: its extra field `url` as it stands, else what its fields make."""
    if url := connection.extra_dejson.get("url"):
        return str(url)
    scheme, rest = connection.get_uri().split("://", 1)
    return f"{_SCHEMES.get(scheme, scheme)}://{rest}"
