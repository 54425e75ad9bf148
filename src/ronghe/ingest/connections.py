"""Connections: where a source's system is. A contract names one; the address, which may hold a password, is not in it.

`RONGHE_CONNECTION_<NAME>` in the environment comes first, then `connections.yaml` among the service's own files: a
mapping from names to URLs that only its owner may read.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from ronghe.contracts import ContractError
from ronghe.home import Home


def connection_url(name: str, home: Home) -> str:
    """Return the URL of a connection.

    Raises:
        ContractError: there is none of that name, or others may read the file; says what to do.
    """
    variable = f"RONGHE_CONNECTION_{name.upper()}"
    url = os.environ.get(variable) or declared(home).get(name)
    if not url:
        raise ContractError(
            f"connection {name!r} is unknown: set {variable} to its URL, or add `{name}: <URL>` to {_file(home)}"
        )
    return url


def declared(home: Home) -> dict[str, str]:
    """Return the connections in the home's file by name.

    Raises:
        ContractError: the file is no mapping from names to URLs, or others than its owner may read it.
    """
    path = _file(home)
    if not path.exists():
        return {}
    if path.stat().st_mode & 0o077:
        raise ContractError(f"{path} may hold passwords and others can read it: run `chmod 600 {path}`")
    try:
        found = yaml.safe_load(path.read_text("utf-8")) or {}
    except (UnicodeDecodeError, yaml.YAMLError):
        found = None  # the parser's message would quote the file
    if not isinstance(found, dict) or not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise ContractError(f"{path} must map names of connections to URLs, one `name: URL` a line")
    return found


def declare(home: Home, urls: Mapping[str, str]) -> None:
    """Add connections to the home's file, or change those that are there."""
    path = _file(home)
    text = yaml.safe_dump({**declared(home), **urls}, allow_unicode=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    partial.touch(mode=0o600)
    partial.write_text(text, "utf-8")
    partial.replace(path)


def _file(home: Home) -> Path:
    return home.service / "connections.yaml"
