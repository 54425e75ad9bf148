"""Servers of this machine that tests need: an S3 store and a PostgreSQL, both on loopback and gone afterwards."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ronghe import jars
from ronghe.processes import end_group
from tests.ports import await_port, free_port

POSTGRES = next(
    (p for p in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True) if (p / "initdb").exists()), None
)
PASSWORD = "not-to-be-told"


@contextmanager
def object_store(folder: Path) -> Iterator[dict[str, str]]:
    """Start S3Proxy over a folder; give the environment that leads to it (and the folder)."""
    jars.fetch("s3", "s3-server")
    port = free_port()
    settings = folder / "s3proxy.properties"
    settings.write_text(
        f"s3proxy.authorization=aws-v2-or-v4\ns3proxy.endpoint=http://127.0.0.1:{port}\n"
        f"s3proxy.identity=tests\ns3proxy.credential={PASSWORD}\n"
        f"jclouds.provider=filesystem-nio2\njclouds.filesystem.basedir={folder}\n"
    )
    [jar] = jars.checked("s3-server")
    with (folder / "s3proxy.log").open("wb") as log:
        process = subprocess.Popen(
            ["java", "-Xmx512m", "-jar", str(jar), "--properties", str(settings)],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        await_port(port)
        yield {
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "RONGHE_RESTRICTED_LAKE": "s3a://restricted/lake",
            "RONGHE_OPEN_LAKE": "s3a://open/lake",
            "STORE_FOLDER": str(folder),
        }
    finally:
        end_group(process.pid)


@contextmanager
def postgres() -> Iterator[str]:
    """Start a PostgreSQL of our own, as a user that is not root, as it insists on; give its address for SQLAlchemy."""
    if POSTGRES is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    folder = Path("/tmp") / f"ronghe-postgres-{os.getpid()}"
    folder.mkdir()
    shutil.chown(folder, user)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    shutil.chown(secret, user)
    port, data = free_port(), folder / "data"

    def program(name: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", user, "--"] if os.getuid() == 0 else []
        command = [*as_user, str(POSTGRES / name), "-D", str(data), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=folder, timeout=60)

    try:
        program("initdb", "-U", "ronghe", "-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--no-locale")
        options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
        program("pg_ctl", "-w", "-l", str(folder / "log"), "-o", options, "start")
        yield f"postgresql+psycopg://ronghe:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        if (data / "postmaster.pid").exists():
            program("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(folder)
