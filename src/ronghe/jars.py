"""The jars the engine needs beside Spark's own: locked by coordinate and SHA-256, fetched once, checked at each start.

`python -m ronghe.jars [group ...]` fetches what is missing of a group (`engine` unless named), with Maven where it is
installed (so that the user's own settings and mirrors count), otherwise with the Ivy that comes with Spark.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from ronghe.contracts.catalogue import builtin_folder

_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy-dependencies"
_EXCLUDED = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"


class JarError(RuntimeError):
    """A jar is missing, cannot be fetched, or is not the locked one; the message says what to do."""


@dataclass(frozen=True)
class Jar:
    """A locked jar. `classifier` is empty for an artifact's main jar."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the jar lies once it was fetched."""
        return folder() / f"{'-'.join(filter(None, (self.artifact, self.version, self.classifier)))}.jar"


def folder() -> Path:
    """Return the folder of the jars (`RONGHE_JARS`, by default `.jars/` of the checkout)."""
    return Path(os.environ.get("RONGHE_JARS", builtin_folder() / ".jars"))


def locked(*groups: str) -> tuple[Jar, ...]:
    """Return the locked jars of the groups, of `engine` where none is named."""
    text = resources.files("ronghe").joinpath("jars.lock").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(_jar(coordinate, digest) for coordinate, digest, group in lines if group in (groups or ("engine",)))


def _jar(coordinate: str, digest: str) -> Jar:
    group, artifact, version, *classifier = coordinate.split(":")
    return Jar(group, artifact, version, "".join(classifier), digest)


def checked(*groups: str) -> tuple[Path, ...]:
    """Return the jars of the groups (`engine` where none is named), each of them the locked file.

    Raises:
        JarError: a jar is missing or another file.
    """
    return tuple(_checked(jar, jar.path, groups) for jar in locked(*groups))


def _checked(jar: Jar, path: Path, groups: Sequence[str]) -> Path:
    if not path.is_file():
        command = f"python -m ronghe.jars {' '.join(groups)}" if groups else "make setup"
        raise JarError(f"{path.name} is not in {path.parent}. Run `{command}`, which fetches it.")
    if hashlib.sha256(path.read_bytes()).hexdigest() != jar.sha256:
        raise JarError(f"{path.name} is not the locked file. Remove {path.parent} and run `make setup`.")
    return path


def fetch(*groups: str) -> None:
    """Fetch the jars of the groups that are not there yet.

    Raises:
        JarError: the registry cannot be reached, or it gives another file.
    """
    folder().mkdir(parents=True, exist_ok=True)
    if missing := [jar for jar in locked(*groups) if not jar.path.exists()]:
        with tempfile.TemporaryDirectory(dir=folder()) as scratch:
            said = _download(missing, Path(scratch))
            for jar in missing:
                found = Path(scratch) / jar.path.name
                if not found.exists():
                    raise JarError(
                        f"{jar.path.name} could not be fetched; is the Maven registry reachable? It said: {said[-300:]}"
                    )
                _checked(jar, found, groups).replace(jar.path)
    checked(*groups)


def _download(wanted: Sequence[Jar], target: Path) -> str:
    """Run Maven or Ivy; return what it said."""
    maven = shutil.which("mvn")
    commands = [_maven(maven, wanted, target)] if maven else [_ivy_command(jar, target) for jar in wanted]
    results = [subprocess.run(command, capture_output=True, text=True, check=False) for command in commands]
    return "".join(f"{result.stdout}{result.stderr}" for result in results).strip()


def _maven(maven: str, wanted: Sequence[Jar], target: Path) -> list[str]:
    """Return the command that copies all jars at once, each without what it depends on."""
    listed = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId>"
        f"<version>{jar.version}</version>{f'<classifier>{jar.classifier}</classifier>' if jar.classifier else ''}"
        f"{_EXCLUDED}</dependency>"
        for jar in wanted
    )
    project = target / "pom.xml"
    project.write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>ronghe</groupId><artifactId>jars</artifactId>"
        f"<version>1</version><dependencies>{listed}</dependencies></project>",
        encoding="utf-8",
    )
    return [maven, "-q", "-B", "-f", str(project), _COPY, f"-DoutputDirectory={target}"]


def _ivy_command(jar: Jar, target: Path) -> list[str]:
    if jar.classifier:
        raise JarError(f"{jar.path.name} is fetched by Maven only: install it (Debian: apt-get install maven).")
    pattern = f"{target}/[artifact]-[revision].[ext]"
    return [
        *("java", "-jar", str(_ivy()), "-notransitive", "-types", "jar", "-warn"),
        *("-dependency", jar.group, jar.artifact, jar.version, "-retrieve", pattern),
    ]


def _ivy() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise JarError("pyspark is not installed. Run `make setup`.")
    return next(Path(spec.origin).parent.glob("jars/ivy-*.jar"))


if __name__ == "__main__":
    try:
        fetch(*sys.argv[1:])
    except JarError as error:
        sys.exit(str(error))
