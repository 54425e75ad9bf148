"""Write what Ronghe consists of as CycloneDX: its locked Python packages, its locked jars, and Spark's own jars.

Usage: python tools/sbom.py build/sbom.cdx.json
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyspark
from packaging.utils import canonicalize_name

from ronghe import jars

ROOT = Path(__file__).parents[1]
VERSION = "1.6"
# By group, as their POMs say.
_LICENCES = {
    "io.delta": "Apache-2.0",
    "org.apache.hadoop": "Apache-2.0",
    "org.reactivestreams": "MIT-0",
    "software.amazon.awssdk": "Apache-2.0",
    "software.amazon.eventstream": "Apache-2.0",
    "software.amazon.s3.analyticsaccelerator": "Apache-2.0",
}
_JAR_NAME = re.compile(r"(?P<name>.+?)-(?P<version>\d.*)\.jar")


def python_packages() -> dict[str, Any]:
    """Return the bill of the packages that are shipped, with the licences they were installed with.

    What development adds is installed beside them and is no part of it.
    """
    command = [str(Path(sys.executable).parent / "cyclonedx-py"), "environment", sys.executable]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--spec-version", VERSION, "--output-reproducible"]
    command += ["--no-validate"]  # half a minute; the tests validate what is written
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    shipped = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    components = [c for c in found["components"] if canonicalize_name(c["name"]) in shipped]
    known = {component["bom-ref"] for component in (*components, found["metadata"]["component"])}
    dependencies = [entry for entry in found["dependencies"] if entry["ref"] in known]
    for entry in dependencies:
        if "dependsOn" in entry:
            entry["dependsOn"] = [ref for ref in entry["dependsOn"] if ref in known]
    return {**found, "components": components, "dependencies": dependencies}


def locked_jars() -> list[dict[str, Any]]:
    """Return the jars of `jars.lock` as components."""
    return [_locked(jar) for jar in jars.locked("engine", "s3")]


def _locked(jar: jars.Jar) -> dict[str, Any]:
    purl = f"pkg:maven/{jar.group}/{jar.artifact}@{jar.version}"
    licence = _LICENCES.get(jar.group)
    return {
        "type": "library",
        "bom-ref": purl,
        "group": jar.group,
        "name": jar.artifact,
        "version": jar.version,
        "purl": f"{purl}?classifier={jar.classifier}&type=jar" if jar.classifier else f"{purl}?type=jar",
        "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
        **({"licenses": [{"license": {"id": licence}}]} if licence else {}),
    }


def jars_of_spark() -> list[dict[str, Any]]:
    """Return the jars that pyspark brings, named as their files are."""
    found = sorted((Path(pyspark.__file__).parent / "jars").glob("*.jar"))
    return [_brought(path) for path in found]


def _brought(path: Path) -> dict[str, Any]:
    named = _JAR_NAME.fullmatch(path.name)
    return {
        "type": "library",
        "bom-ref": f"pyspark/{path.name}",
        "name": named["name"] if named else path.stem,
        "version": named["version"] if named else "",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        "properties": [{"name": "ronghe:brought-by", "value": f"pyspark {pyspark.__version__}"}],
    }


def bill() -> dict[str, Any]:
    """Return the whole bill of materials."""
    found = python_packages()
    return {**found, "components": [*found["components"], *locked_jars(), *jars_of_spark()]}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill(), indent=1, ensure_ascii=False), "utf-8")
    sys.stdout.write(f"{target}\n")
