"""What was measured, as JSON; and what follows from it: rates, ratios and growth."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.airflow import Overhead
from bench.chains import Run
from bench.change import Change
from bench.meter import Cost
from bench.presidio import Vanilla

MILLION = 1_000_000


@dataclass
class Results:
    """One run of the suite.

    Attributes:
        cores: of the machine.
        load: the machine's load over a minute when the run began: other work makes times longer.
        runs: stages by size; the smallest is the fixed part of the growth.
        floor: size of that smallest one.
        failures: what could not be measured, and why.
    """

    cores: int
    load: float
    floor: int
    runs: list[Run] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    vanilla: list[Vanilla] = field(default_factory=list)
    airflow: list[Overhead] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write the file, in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".tmp")
        partial.write_text(json.dumps(asdict(self), indent=1), "utf-8")
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Results":
        """Read the file."""
        found = json.loads(path.read_text("utf-8"))
        return cls(
            found["cores"],
            found["load"],
            found["floor"],
            [Run(r["stage"], r["records"], r["rows"], _costs(r["ours"]), _costs(r["twin"])) for r in found["runs"]],
            [Change(**(c | {"costs": _costs(c["costs"])})) for c in found["changes"]],
            [Vanilla(**(v | {"cost": Cost(**v["cost"])})) for v in found["vanilla"]],
            [Overhead(**o) for o in found["airflow"]],
            found["failures"],
        )

    def keep(self, earlier: "Results") -> None:
        """Take over what an earlier run has measured; what is measured now takes its place."""
        self.runs, self.changes = earlier.runs, earlier.changes
        self.vanilla, self.airflow = earlier.vanilla, earlier.airflow

    def put_runs(self, runs: Iterable[Run]) -> None:
        """Add runs of stages, in place of those of the same stages and sizes."""
        new = {(run.stage, run.records): run for run in runs}
        self.runs = [r for r in self.runs if (r.stage, r.records) not in new] + list(new.values())

    def put(self, kind: str, found: list[Any]) -> None:
        """Set what is measured as a whole: `changes`, `vanilla` or `airflow`."""
        setattr(self, kind, found)

    def of(self, stage: str) -> list[Run]:
        """Return a stage's runs, smallest first, without the one that tells the fixed part."""
        return sorted((r for r in self.runs if r.stage == stage and not self._is_floor(r)), key=lambda r: r.records)

    def fixed_seconds(self, stage: str) -> float:
        """Return what a stage takes for next to no records, 0 where that was not measured."""
        return next((best(r.ours).seconds for r in self.runs if r.stage == stage and self._is_floor(r)), 0.0)

    def growth(self, stage: str) -> float | None:
        """Return the slope of log time over log records after the fixed part is taken off; none below two sizes."""
        points = [
            (math.log(run.records), math.log(max(best(run.ours).seconds - self.fixed_seconds(stage), 1e-3)))
            for run in self.of(stage)
        ]
        return slope(points) if len(points) > 1 else None

    def _is_floor(self, run: Run) -> bool:
        return run.records <= self.floor


def best(costs: Sequence[Cost]) -> Cost:
    """Return the cost of the fastest repetition: what disturbs a run only ever makes it slower."""
    return min(costs, key=lambda cost: cost.seconds)


def ratio(run: Run) -> float:
    """Return how many times as long as the twin a stage takes."""
    return best(run.ours).seconds / best(run.twin).seconds


def cpu_ratio(run: Run) -> float:
    """Return how many times the twin's CPU time a stage takes; steadier where others use the machine."""
    return min(c.cpu_seconds for c in run.ours) / max(min(c.cpu_seconds for c in run.twin), 1e-3)


def slope(points: Iterable[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares."""
    xs, ys = zip(*points, strict=True)
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return float(sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs))


def _costs(found: list[dict[str, float]]) -> list[Cost]:
    return [Cost(**cost) for cost in found]
