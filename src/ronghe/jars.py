"""The jars the engine needs beside Spark's own: locked by coordinate and SHA-256, fetched once, checked at each start.

`python -m ronghe.jars` fetches what is missing, with Maven where it is installed (so that the user's own settings and
mirrors count), otherwise with the Ivy that comes with Spark.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from ronghe.contracts.catalogue import builtin_folder

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy"


class JarError(RuntimeError):
    """A jar is missing, cannot be fetched, or is not the locked one; the message says what to do."""


def folder() -> Path:
    """Return the folder of the jars (`RONGHE_JARS`, by default `.jars/` of the checkout)."""
    return Path(os.environ.get("RONGHE_JARS", builtin_folder() / ".jars"))


def locked() -> dict[str, str]:
    """Return the coordinates of the jars and their SHA-256."""
    text = resources.files("ronghe").joinpath("jars.lock").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {line[0]: line[1] for line in lines}


def checked() -> tuple[Path, ...]:
    """Return the jars, each of them the locked file.

    Raises:
        JarError: a jar is missing or another file.
    """
    return tuple(_checked(_path(coordinate), digest) for coordinate, digest in locked().items())


def _path(coordinate: str) -> Path:
    _, artifact, version = coordinate.split(":")
    return folder() / f"{artifact}-{version}.jar"


def _checked(jar: Path, digest: str) -> Path:
    if not jar.is_file():
        raise JarError(f"{jar.name} is not in {jar.parent}. Run `make setup`, which fetches it.")
    if hashlib.sha256(jar.read_bytes()).hexdigest() != digest:
        raise JarError(f"{jar.name} is not the locked file. Remove {jar.parent} and run `make setup`.")
    return jar


def fetch() -> None:
    """Fetch the jars that are not there yet.

    Raises:
        JarError: the registry cannot be reached, or it gives another file.
    """
    folder().mkdir(parents=True, exist_ok=True)
    for coordinate, digest in locked().items():
        if _path(coordinate).exists():
            continue
        with tempfile.TemporaryDirectory(dir=folder()) as scratch:
            said = _download(coordinate, Path(scratch))
            found = Path(scratch) / _path(coordinate).name
            if not found.exists():
                raise JarError(
                    f"{coordinate} could not be fetched; is the Maven registry reachable? It said: {said[-300:]}"
                )
            _checked(found, digest).replace(_path(coordinate))
    checked()


def _download(coordinate: str, target: Path) -> str:
    """Run Maven or Ivy; return what it said."""
    group, artifact, version = coordinate.split(":")
    if maven := shutil.which("mvn"):
        command = [maven, "-q", "-B", _COPY, f"-Dartifact={coordinate}", f"-DoutputDirectory={target}"]
    else:
        pattern = f"{target}/[artifact]-[revision].[ext]"
        command = [
            *("java", "-jar", str(_ivy()), "-notransitive", "-types", "jar", "-warn"),
            *("-dependency", group, artifact, version, "-retrieve", pattern),
        ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"{result.stdout}{result.stderr}".strip()


def _ivy() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise JarError("pyspark is not installed. Run `make setup`.")
    return next(Path(spec.origin).parent.glob("jars/ivy-*.jar"))


if __name__ == "__main__":
    try:
        fetch()
    except JarError as error:
        sys.exit(str(error))
