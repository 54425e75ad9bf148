"""Secrets that must be told nowhere: which a home has, where one was told, and which files others could read."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
import yaml

from ronghe.home import Home

# The files that hold a secret; anywhere else it was told.
KEPT = ("*.token", "*secret", "*.fernet_key", "*.passwords.json", "connections.yaml", "cluster.conf", "keys/*")


def kept(home: Home) -> set[Path]:
    return {path for pattern in KEPT for path in home.service.glob(pattern)}


def secrets_of(home: Home) -> dict[str, str]:
    """Return the secrets of a home by the file that holds them; a key as the hexadecimal that code may print."""
    found: dict[str, str] = {}
    for path in kept(home) - {home.service / "cluster.conf"}:
        if path.parent.name == "keys":
            found[path.name] = path.read_bytes().hex()
        elif path.name == "connections.yaml":
            for name, url in yaml.safe_load(path.read_text()).items():
                if password := urlsplit(url).password:
                    found[f"connection {name}"] = password
        elif path.suffix == ".json":
            [found[path.name]] = json.loads(path.read_text()).values()
        else:
            found[path.name] = path.read_text().strip()
    return found


def told(home: Home, secrets: Mapping[str, str]) -> list[str]:
    """Return where a secret stands: files of the home (Airflow's database too) and command lines of all processes."""
    forms = {(name, form.encode()) for name, secret in secrets.items() for form in (secret, unquote(secret))}
    found = []
    for path in sorted(home.root.rglob("*")):
        if path.is_file() and path not in kept(home):
            content = path.read_bytes()
            found += [f"{name} in {path.relative_to(home.root)}" for name, form in forms if form in content]
    for process in psutil.process_iter(["cmdline"]):
        line = "\0".join(process.info["cmdline"] or ()).encode()
        found += [f"{name} in the command line of {process.pid}" for name, form in forms if form in line]
    return sorted(set(found))


def open_to_others(home: Home) -> list[str]:
    """Return secrets that more than their owner may read, and other files of the services that strangers may."""
    secret, found = kept(home), []
    for path in [home.service, home.root / "restricted", *home.service.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        closed = path in secret or path in (home.service, home.root / "restricted", home.keys)
        if not path.is_symlink() and mode & (0o077 if closed else 0o007):
            found.append(f"{path.relative_to(home.root)} {mode:03o}")
    return found
