"""Where everything made at run time lies: the two halves of the lake, the service's own files, the simulated truth."""

import os
from dataclasses import dataclass
from pathlib import Path

from ronghe.contracts.catalogue import builtin_folder
from ronghe.stores import is_remote


@dataclass(frozen=True)
class Home:
    """The folders below one root (`RONGHE_HOME`, by default `data/` of the checkout)."""

    root: Path

    @classmethod
    def find(cls) -> "Home":
        """Return the home that the environment names."""
        default = builtin_folder() / "data"
        return cls(Path(os.environ.get("RONGHE_HOME", default)).expanduser().resolve())

    @property
    def landing(self) -> Path:
        """Deliveries as they came: `<source>/<the feed's landing pattern>`."""
        return self.root / "restricted" / "landing"

    @property
    def engine(self) -> Path:
        """The engine's spill, staging and log: they may hold rows, so they are restricted."""
        return self.root / "restricted" / "engine"

    @property
    def spill(self) -> Path:
        """What the engine and the daemons of its cluster put on disk because it does not fit into memory."""
        return self.engine / "spill"

    def staging(self, feed_id: str) -> Path:
        """Return where a feed's records lie between parsing and the engine's write."""
        return self.engine / "staging" / feed_id

    def shared_staging(self, feed_id: str) -> str:
        """Return where staged records lie for every worker of the engine: beside the restricted tables."""
        root = self.lake_root("restricted")
        return f"{root}/_staging/{feed_id}" if is_remote(root) else str(self.staging(feed_id))

    @property
    def restricted_lake(self) -> Path:
        """Tables that only the pipeline and engineers of the restricted half read."""
        return self.root / "restricted" / "lake"

    @property
    def open_lake(self) -> Path:
        """Tables that analysts read."""
        return self.root / "open" / "lake"

    def lake_root(self, zone: str) -> str:
        """Return where the tables of a zone (`restricted` or `open`) lie: a folder, or a prefix of an object store.

        `RONGHE_RESTRICTED_LAKE` and `RONGHE_OPEN_LAKE` name stores (`s3a://bucket/prefix`); two buckets keep the
        halves apart by the store's own rights.
        """
        own = self.open_lake if zone == "open" else self.restricted_lake
        return os.environ.get(f"RONGHE_{zone.upper()}_LAKE", "").rstrip("/") or str(own)

    @property
    def docs(self) -> Path:
        """Pages about the data, for everybody."""
        return self.root / "open" / "docs"

    @property
    def releases(self) -> Path:
        """Data packages of the extracts: `<extract>/<release id>/`, and `<extract>/current.json`."""
        return self.root / "open" / "releases"

    @property
    def service(self) -> Path:
        """State files, keys, Airflow's own files and logs."""
        return self.root / "service"

    @property
    def keys(self) -> Path:
        """Token keys, one file each, readable by the owner only; never in the lake or the repository."""
        return self.service / "keys"

    @property
    def logs(self) -> Path:
        """Logs without row content."""
        return self.service / "logs"

    @property
    def lineage(self) -> Path:
        """OpenLineage events: which job read and wrote which tables; names and counts only."""
        return self.service / "lineage"

    @property
    def metrics(self) -> Path:
        """Figures for Prometheus, as files its node exporter reads."""
        return self.service / "metrics"

    @property
    def truth(self) -> Path:
        """What the simulation knows; no job reads it."""
        return self.root / "truth"

    @property
    def upstream(self) -> Path:
        """The sources' own systems, as far as they are simulated: a database, what an API serves."""
        return self.root / "upstream"

    def make(self) -> "Home":
        """Create the folders, closed to other users of the machine.

        Raises:
            OSError: the root cannot be written.
        """
        self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
        for folder in (self.landing, self.engine, self.restricted_lake, self.open_lake, self.logs, self.keys):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.root / "restricted", self.service, self.keys, self.logs):
            folder.chmod(0o700)
        return self
