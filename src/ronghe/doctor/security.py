"""Security: rights of secrets, listeners, the engine's token, Airflow's settings and login, and what should be nowhere.

Where Airflow runs, the settings are those its process was started with; else those it would be. What a single
machine may do and production may not is asked only where others open Airflow (`RONGHE_AIRFLOW_URL` is not loopback).
"""

import hashlib
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import sqlalchemy as sa

from ronghe import cluster, engine, jars
from ronghe.contracts import ContractError
from ronghe.contracts.catalogue import builtin_folder
from ronghe.doctor.findings import Finding, well, wrong
from ronghe.home import Home
from ronghe.ingest.connections import declared
from ronghe.orchestration import login, service
from ronghe.processes import group, load_state

# Files of the service's folder that hold a secret, and names by which one is known wherever it lies.
_SECRETS = ("*.token", "*secret", "*.fernet_key", "*.passwords.json", "connections.yaml", "cluster.conf", "keys/*")
_SECRET_SUFFIXES = (".key", ".token", ".fernet_key", ".pem", "_secret", ".secret")
# Variables that name a file with one.
_NAMED = (cluster.SECRET_VARIABLE, login.SECRET_VARIABLE)
# HMAC keys have at least the length of their hash (RFC 7518, section 3.2).
_SECRET_CHARACTERS = 32
_NOT_HERE = "not looked at: `ronghe up` started nothing here"
_PRODUCTION = "docs/production.md says how."


def findings(home: Home) -> Iterator[Finding]:
    """Look at what keeps others out, as this user of the machine can see it."""
    settings = _settings(home)
    yield from _files(home)
    yield _strays(home)
    yield _listeners(home)
    yield _token(home)
    yield _command_lines(home)
    yield _user(home)
    yield _jars()
    yield from _airflow(settings)
    yield from _login(settings)


def _settings(home: Home) -> Mapping[str, str]:
    """Return the settings Airflow runs with, or would; none where it never ran, for a look makes no secrets."""
    if running := service.state(home):
        return dict(psutil.Process(running.pid).environ())
    return service.environment(home) if (home.service / "airflow.jwt_secret").exists() else {}


def secret_files(home: Home) -> list[Path]:
    """Return every file that holds a secret of a home: the service's own, and those that variables name."""
    own = {path for pattern in _SECRETS for path in home.service.glob(pattern) if path.is_file()}
    named = {Path(path) for name in _NAMED if os.access(path := os.environ.get(name, ""), os.F_OK)}
    return sorted(own | named)


def _files(home: Home) -> Iterator[Finding]:
    """Look whether only their owner reads the secrets, and whether what `up` made is closed to others."""
    found = secret_files(home)
    for path in found:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            check = f"secret: {path.relative_to(home.service) if path.is_relative_to(home.service) else path}"
            yield wrong(check, f"others may read it (mode {mode:03o})", f"Run `chmod 600 {path}`.")
    yield well("secrets", f"{len(found)} looked at")
    for folder in (home.root / "restricted", home.service, home.keys):
        if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
            yield wrong(f"folder: {folder.relative_to(home.root)}", "others may look in", f"Run `chmod 700 {folder}`.")


def _strays(home: Home) -> Finding:
    """Look for keys where tables or code lie."""
    code = [builtin_folder() / name for name in ("src", "schemas", "expectations", "jobs", "dags", "plugins", "docs")]
    places = [folder for folder in (home.open_lake, home.releases, home.restricted_lake, *code) if folder.exists()]
    for place in places:
        for path in place.rglob("*"):
            if path.name.endswith(_SECRET_SUFFIXES) and path.is_file():
                mend = "Make a new one in its place, and remove this one from the folder and its history."
                return wrong("secrets: strays", f"{path} looks like a key", mend)
    return well("secrets: strays", f"none in {len(places)} folders of tables and code")


def _processes(home: Home) -> list[psutil.Process]:
    """Return the processes of the home's services."""
    running = [load_state(path) for path in sorted(home.service.glob("*.json"))]
    return [process for state in running if state for process in group(state.pid)]


def _listeners(home: Home) -> Finding:
    """Look whether services listen on loopback, or on the one name by which a cluster knows this machine."""
    try:
        own = {socket.gethostbyname(cluster.hostname())}
    except OSError:
        own = set()
    count = 0
    for process in _processes(home):
        try:
            found = [c for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        except psutil.Error:
            continue
        for listener in found:
            host = listener.laddr.ip.removeprefix("::ffff:")
            if not ip_address(host).is_loopback and host not in own:
                said = f"{process.name()} (process {process.pid}) listens at {host} port {listener.laddr.port}"
                return wrong("listeners", said, "Bind it to 127.0.0.1; let others in by the one door only.")
            count += 1
    return well("listeners", f"{count}, all on loopback" if count else _NOT_HERE)


def _token(home: Home) -> Finding:
    """Ask the engine for something without a token."""
    import grpc

    check, running = "engine: token", engine.state(home)
    if running is None:
        return well(check, _NOT_HERE)
    with grpc.insecure_channel(f"localhost:{running.port}") as channel:
        ask = channel.unary_unary("/spark.connect.SparkConnectService/Config")
        try:
            ask(b"", timeout=10)
            code = grpc.StatusCode.OK
        except grpc.RpcError as error:
            code = error.code()
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return well(check, "a call without it is refused")
    return wrong(check, f"a call without it was answered ({code.name})", "Run `ronghe down`, then `ronghe up`.")


def _command_lines(home: Home) -> Finding:
    """Look for secrets where every user of the machine sees them."""
    secrets = _secret_texts(home)
    processes = _processes(home)
    for process in processes:
        try:
            line = "\0".join(process.cmdline())
        except psutil.Error:
            continue
        if told := sorted(name for name, secret in secrets.items() if secret in line):
            said = f"process {process.pid} ({process.name()}) shows {', '.join(told)}"
            return wrong("command lines", said, "End it, make the secret anew, and hand it over in a file.")
    return well("command lines", f"{len(processes)} processes show no secret" if processes else _NOT_HERE)


def _secret_texts(home: Home) -> dict[str, str]:
    """Return the secrets of a home by the name of what holds them; they are compared and never told."""
    found = {path: path.read_bytes() for path in secret_files(home) if os.access(path, os.R_OK)}
    texts = {
        path.name: content.hex() if path.parent == home.keys else content.decode().strip()
        for path, content in found.items()
    }
    if "airflow.passwords.json" in texts:
        texts["airflow.passwords.json"] = service.password(home)
    try:
        urls = declared(home)
    except ContractError:
        urls = {}  # told as a file that others may read
    passwords = {f"connection {name}": urlsplit(url).password or "" for name, url in urls.items()}
    texts = {name: text for name, text in texts.items() if name not in ("connections.yaml", "cluster.conf")}
    return {name: text for name, text in {**texts, **passwords}.items() if text}


def _user(home: Home) -> Finding:
    """Look whether root does what a user without rights could do."""
    users = {process.uids().effective for process in _processes(home)} or {os.geteuid()}
    if 0 in users:
        return wrong("user", "root runs Ronghe", "Run it as a user of its own, and `chown` RONGHE_HOME to that user.")
    return well("user", "not root")


def _jars() -> Finding:
    """Look whether every jar that the engine could load is a locked one."""
    locked = {jar.path.name: jar.sha256 for jar in jars.locked("engine", "s3", "s3-server")}
    found = sorted(jars.folder().glob("*.jar"))
    for path in found:
        if hashlib.sha256(path.read_bytes()).hexdigest() != locked.get(path.name):
            return wrong("jars", f"{path.name} is no locked file", f"Remove {path}, then run `make setup`.")
    return well("jars", f"{len(found)}, each the locked file")


_OFF = {
    "AIRFLOW__API__EXPOSE_CONFIG": "its settings, secrets among them, are shown",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "example DAGs run code nobody here wrote",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "everybody is an administrator without a login",
}
_EMPTY = {
    "AIRFLOW__API__ACCESS_CONTROL_ALLOW_ORIGINS": "pages of other sites may call the API",
    "AIRFLOW__FAB__AUTH_ROLE_PUBLIC": "who is not logged in has a role",
}
_LONG = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")


def _airflow(settings: Mapping[str, str]) -> Iterator[Finding]:
    """Look at single settings of Airflow's."""
    if not settings:
        yield well("Airflow", "was never started here")
        return
    for name, danger in {**_OFF, **_EMPTY}.items():
        value = settings.get(name, "False" if name in _OFF else "")
        if value.lower() == "false" if name in _OFF else not value:
            yield well(f"Airflow: {name}", "off" if name in _OFF else "empty")
        else:
            yield wrong(f"Airflow: {name}", danger, "Unset it, then run `ronghe down`, `ronghe up`.")
    for name in _LONG:
        if len(settings.get(name, "")) >= _SECRET_CHARACTERS:
            yield well(f"Airflow: {name}", "set")
        else:
            said = f"missing, or shorter than {_SECRET_CHARACTERS} characters"
            yield wrong(f"Airflow: {name}", said, "Unset it and remove its file in service/: `ronghe up` makes it.")


def _login(settings: Mapping[str, str]) -> Iterator[Finding]:
    """Look at who may log in, what somebody without a login may do, and what production asks for."""
    if not settings:
        return
    fab = "FabAuthManager" in settings.get("AIRFLOW__CORE__AUTH_MANAGER", "")
    address = urlsplit(settings.get("AIRFLOW__API__BASE_URL", ""))
    books = settings.get("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "")
    if address.hostname in (None, "localhost", "127.0.0.1"):
        yield well("login", "production's" if fab else "one user of this machine's: for loopback only")
    else:
        yield _asked("login", fab, "the simple one is for development", f"Set {login.AUTH_VARIABLE}={login.FAB}.")
        yield _asked("TLS", address.scheme == "https", "people open it in the clear", "Put it behind a door with TLS.")
        said = "SQLite keeps Airflow's books"
        yield _asked("database", not books.startswith("sqlite"), said, "Set RONGHE_AIRFLOW_DATABASE to a PostgreSQL.")
    if fab:
        yield from _roles(books)


def _asked(check: str, ok: bool, said: str, mend: str) -> Finding:
    return (
        well(f"production: {check}", "as it should be")
        if ok
        else wrong(f"production: {check}", said, f"{mend} {_PRODUCTION}")
    )


_RIGHTS = """
SELECT a.name, v.name FROM ab_role r JOIN ab_permission_view_role p ON p.role_id = r.id
JOIN ab_permission_view pv ON pv.id = p.permission_view_id
JOIN ab_permission a ON a.id = pv.permission_id JOIN ab_view_menu v ON v.id = pv.view_menu_id WHERE r.name = :role
"""
_HOLDERS = """
SELECT count(*) FROM ab_user_role u JOIN ab_role r ON r.id = u.role_id WHERE r.name IN ('Admin', 'Op', 'User', 'Viewer')
"""


def _roles(books: str) -> Iterator[Finding]:
    """Compare the rights in Airflow's database with the declared ones."""
    restart = "Restart the API server: it sets them anew."
    database = sa.create_engine(books, hide_parameters=True)
    try:
        with database.connect() as connection:
            for role, declared_rights in {"Public": frozenset(), **login.ROLES}.items():
                rows = connection.execute(sa.text(_RIGHTS), {"role": role}).all()
                more = {(str(action), str(resource)) for action, resource in rows} - declared_rights
                if more:
                    said = f"may {len(more)} things more than declared, say {' on '.join(sorted(more)[0])}"
                    yield wrong(f"role: {role}", said, restart)
                else:
                    yield well(f"role: {role}", "no more rights than declared")
            holders = connection.scalar(sa.text(_HOLDERS)) or 0
    except sa.exc.SQLAlchemyError as error:
        yield wrong(
            "roles", f"Airflow's database cannot be asked ({type(error).__name__})", "Run `ronghe serve migrate`."
        )
        return
    finally:
        database.dispose()
    if holders:
        yield wrong("roles", f"{holders} accounts have a role of Airflow's own", "Give them one of ours instead.")
    else:
        yield well("roles", "only ours are given")
