"""Start and end Airflow on this machine: one process group, loopback, its own files under the home."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from cryptography.fernet import Fernet

from ronghe import engine
from ronghe.contracts.catalogue import BUILTIN, FOLDERS_VARIABLE, SOURCES_VARIABLE, builtin_folder
from ronghe.home import Home
from ronghe.locks import holding
from ronghe.orchestration import login
from ronghe.orchestration.servers import SERVERS
from ronghe.processes import (
    ServiceState,
    alive,
    began,
    children,
    config_hash,
    end_service,
    listening,
    load_state,
    save_state,
    secret_file,
    variables,
)

USER = login.OPERATOR
# The engine, as Airflow knows it.
CONNECTION = "AIRFLOW_CONN_SPARK_CONNECT"
_START_SECONDS = 600
_READY_PATHS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
# How long a server that died has to be started again and be well.
_HEAL_SECONDS = 120


class AirflowError(RuntimeError):
    """Airflow cannot be started or does not answer; the message says what to do."""


def port() -> int:
    """Return the port of Airflow's API and pages."""
    return int(os.environ.get("RONGHE_AIRFLOW_PORT", "8080"))


def environment(home: Home) -> dict[str, str]:
    """Return the environment Airflow runs in: no examples, no reports home, few workers, loopback only."""
    code = builtin_folder()
    address = os.environ.get("RONGHE_AIRFLOW_URL", f"http://localhost:{port()}")
    own = {
        "AIRFLOW_HOME": str(home.service / "airflow"),
        **_database(home),
        "AIRFLOW__CORE__EXECUTOR": "ronghe_airflow.executor.LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "3",
        "AIRFLOW__CORE__DAGS_FOLDER": str(code / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(code / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": "Asia/Shanghai",
        "AIRFLOW__CORE__FERNET_KEY": secret_file(home.service / "airflow.fernet_key", Fernet.generate_key().decode()),
        **login.environment(_password_file(home), address),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port()}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port()),
        "AIRFLOW__API__BASE_URL": address,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__EXPOSE_CONFIG": "False",
        "AIRFLOW__API__SECRET_KEY": _secret(home, "api_secret"),
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret(home, "jwt_secret"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home.logs / "airflow"),
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o750",
        "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o640",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "120",
        # What a scheduler that died had queued is taken up by the one started after it.
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
        CONNECTION: os.environ.get(CONNECTION)
        or json.dumps({"conn_type": "spark_connect", "host": "localhost", "port": _engine_port(home)}),
        engine.TOKEN_VARIABLE: engine.token(home),
        "RONGHE_HOME": str(home.root),
        "GX_ANALYTICS_ENABLED": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    return {**os.environ, **own}


def _database(home: Home) -> dict[str, str]:
    """Return where Airflow keeps its books: `RONGHE_AIRFLOW_DATABASE`, or a SQLite file of this home."""
    file = home.service / "airflow" / "airflow.db"
    address = os.environ.get("RONGHE_AIRFLOW_DATABASE", f"sqlite:///{file}")
    found = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address}
    if "+psycopg:" in address:
        # One driver serves both ways; Airflow would ask for asyncpg.
        found["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] = address.replace("+psycopg:", "+psycopg_async:", 1)
    return found


def _engine_port(home: Home) -> int:
    running = engine.state(home)
    return running.port if running else int(os.environ.get("RONGHE_ENGINE_PORT", "15002"))


def _secret(home: Home, name: str) -> str:
    """Return a secret of this home, made once and readable by the owner only."""
    return secret_file(home.service / f"airflow.{name}")


def _password_file(home: Home) -> Path:
    return home.service / "airflow.passwords.json"


def password(home: Home) -> str:
    """Return the password of Airflow's one user, made once and readable by the owner only."""
    path = _password_file(home)
    if not path.exists():
        secret_file(path, json.dumps({USER: secrets.token_urlsafe(12)}))
    return str(json.loads(path.read_text(encoding="utf-8"))[USER])


def _state_file(home: Home) -> Path:
    return home.service / "airflow.json"


def state(home: Home) -> ServiceState | None:
    """Return the running Airflow's state, or none."""
    return load_state(_state_file(home))


def up(home: Home) -> ServiceState:
    """Start Airflow, or return the one that runs whole and with the same settings.

    Raises:
        AirflowError: its port is busy, or it does not come up.
    """
    home.make()
    password(home)
    with holding(home.service / "airflow.start.lock"):
        settings = environment(home)
        relevant = {k: v for k, v in settings.items() if k.startswith(("AIRFLOW", "RONGHE"))}
        config = config_hash(relevant)
        running = state(home)
        if running and running.config == config and _heals(running):
            return running
        down(home)
        return _start(home, settings, config)


def refuse_other_declarations(running: ServiceState) -> None:
    """Refuse an Airflow whose tasks read other declarations than this process does: it would build other tables.

    Raises:
        AirflowError: it was started with other folders or other sources, or cannot be asked.
    """
    try:
        theirs = variables(running.pid)
    except ProcessLookupError:
        raise AirflowError("Airflow has ended, or is another user's. Start it with `ronghe up`.") from None
    for name, usual in ((FOLDERS_VARIABLE, BUILTIN), (SOURCES_VARIABLE, "")):
        here, there = os.environ.get(name, usual), theirs.get(name, usual)
        if here != there:
            raise AirflowError(
                f"The Airflow that runs was started with {name}={there!r}, and here it is {here!r}. Set it as it was, "
                "or start Airflow anew with what holds here: `ronghe up`."
            )


def is_whole(running: ServiceState) -> bool:
    """Say whether all of Airflow's processes live and report that they are well.

    Its health page calls a process that was killed well for half a minute more, and says nothing of the API server: a
    report counts if it is younger than the youngest of them.
    """
    servers = children(running.pid)
    return len(servers) >= len(SERVERS) and is_well(running.port, max(began(server.pid) for server in servers))


def _heals(running: ServiceState) -> bool:
    """Say whether Airflow is whole, or made so in time by the process that starts its servers."""
    deadline = time.monotonic() + _HEAL_SECONDS
    while not is_whole(running):
        if time.monotonic() > deadline or not alive(running.pid):
            return False
        time.sleep(0.5)
    return True


def _start(home: Home, settings: dict[str, str], config: str) -> ServiceState:
    if listening("127.0.0.1", port()):
        raise AirflowError(
            f"Port {port()} is in use by another program. Stop it, or set RONGHE_AIRFLOW_PORT to a free port."
        )
    command = _program(settings)
    (home.service / "airflow").mkdir(parents=True, exist_ok=True)
    with (home.logs / "airflow.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ronghe.orchestration.servers", command],
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = save_state(_state_file(home), process.pid, port(), config)
    _await_wholeness(process, started, home)
    return started


def migrate(home: Home) -> NoReturn:
    """Make or upgrade Airflow's database, and the pool every engine task takes a slot of.

    Raises:
        AirflowError: Airflow is not installed.
    """
    home.make()
    settings = environment(home)
    subprocess.run([_program(settings), "db", "migrate"], env=settings, check=True)
    become(home, "pools", "set", engine.POOL, str(engine.POOL_SLOTS), engine.POOL_SAID)


def become(home: Home, *arguments: str) -> NoReturn:
    """Turn this process into one of Airflow's, say its scheduler: for a container, whose life is that process's.

    Raises:
        AirflowError: Airflow is not installed.
    """
    home.make()
    password(home)
    settings = environment(home)
    os.execve(_program(settings), ["airflow", *arguments, *SERVERS.get(arguments[0], ())], settings)


def _program(settings: dict[str, str]) -> str:
    command = shutil.which("airflow", path=settings["PATH"])
    if command is None:
        raise AirflowError("Airflow is not installed. Run `make setup`.")
    return command


def _await_wholeness(process: "subprocess.Popen[bytes]", started: ServiceState, home: Home) -> None:
    """Wait until Airflow is whole: what those reported that ran before does not count."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AirflowError(f"Airflow ended at its start. Its log is {home.logs / 'airflow.log'}.")
        if is_whole(started):
            return
        time.sleep(0.5)
    down(home)
    raise AirflowError(f"Airflow did not come up within {_START_SECONDS} s. Its log is {home.logs / 'airflow.log'}.")


def is_well(at: int, since: float = 0.0) -> bool:
    """Say whether the database and the three that work in the background report that they are well.

    Args:
        at: the port of Airflow's API.
        since: an instant in seconds since 1970; what was reported before it does not count.
    """
    import httpx

    try:
        health = httpx.get(f"http://localhost:{at}/api/v2/monitor/health", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return False
    found = {part: health.get(part) or {} for part in _READY_PATHS}
    reported = [report.get(f"latest_{part}_heartbeat") for part, report in found.items()]
    return all(report.get("status") == "healthy" for report in found.values()) and all(
        datetime.fromisoformat(instant).timestamp() >= since for instant in reported if instant
    )


def down(home: Home) -> bool:
    """End Airflow with all its children; say whether it ran."""
    return end_service(_state_file(home))
