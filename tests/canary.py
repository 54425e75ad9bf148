"""Secrets that must be told nowhere: which a home has, where one was told, and which files others could read."""

import json
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil
import yaml

from ronghe.doctor.security import secret_files
from ronghe.home import Home


def kept(home: Home) -> set[Path]:
    """Return the files that hold a secret; anywhere else it was told."""
    return set(secret_files(home))


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
    return {name: secret for name, secret in found.items() if secret}


def told(home: Home, secrets: Mapping[str, str]) -> list[str]:
    """Return where a secret stands: files of the home (Airflow's database too) and command lines of all processes."""
    found, forms = told_in(home, secrets, home.root.rglob("*")), _forms(secrets)
    for process in psutil.process_iter(["cmdline"]):
        line = "\0".join(process.info["cmdline"] or ()).encode()
        found += [f"{name} in the command line of {process.pid}" for name, form in forms if form in line]
    return sorted(set(found))


def told_in(home: Home, secrets: Mapping[str, str], paths: Iterable[Path]) -> list[str]:
    """Return where a secret stands in files of the home that hold none."""
    found, own, forms = set[str](), kept(home), _forms(secrets)
    for path in paths:
        if path.is_file() and path not in own:
            content = path.read_bytes()
            found |= {f"{name} in {path.relative_to(home.root)}" for name, form in forms if form in content}
    return sorted(found)


def _forms(secrets: Mapping[str, str]) -> set[tuple[str, bytes]]:
    """Return what each secret may look like: as it is, unquoted, and a key as its bytes too."""
    forms = {(name, form.encode()) for name, secret in secrets.items() for form in (secret, unquote(secret))}
    return forms | {(name, bytes.fromhex(secret)) for name, secret in secrets.items() if name.endswith(".key")}


def open_to_others(home: Home) -> list[str]:
    """Return secrets that more than their owner may read, and other files of the services that strangers may."""
    secret, found = kept(home), []
    for path in [home.service, home.root / "restricted", *home.service.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        closed = path in secret or path in (home.service, home.root / "restricted", home.keys)
        if not path.is_symlink() and mode & (0o077 if closed else 0o007):
            found.append(f"{path.relative_to(home.root)} {mode:03o}")
    return found
