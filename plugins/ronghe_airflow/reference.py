"""The reference page of the DAGs, as Airflow reads them: `python -m ronghe_airflow.reference` (part of `make docs`)."""

import ast
import os
import sys
import tempfile
from typing import Any

from ronghe.contracts.catalogue import builtin_folder
from ronghe.reference import code, grid, page, write

FOLDER = builtin_folder() / "docs" / "reference"


def job_docs(verb: str) -> dict[str, str]:
    """Return what a job's docstring says: `does`, `reads`, `writes`."""
    path = builtin_folder() / "jobs" / f"{verb}.py"
    if not path.is_file():
        return {}
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    found = {"does": text.partition("\n")[0]}
    current = ""
    for line in text.splitlines():
        key, colon, rest = line.partition(":")
        if colon and key in ("Reads", "Writes"):
            current, found[key.lower()] = key.lower(), rest.strip()
        elif current and line.startswith("  "):
            found[current] += f" {line.strip()}"
        else:
            current = ""
    return found


def _schedule(timetable: Any) -> str:
    """Return when a DAG runs."""
    if expression := getattr(timetable, "expression", None):
        return f"{code(expression)} ({timetable.timezone})"
    condition = getattr(timetable, "asset_condition", None)
    if condition is None:
        return type(timetable).__name__
    # The page names how many there are; the sources page names the feeds behind them.
    said = f"when any of {len(getattr(condition, 'objects', ()))} feeds was accepted"
    clock = getattr(timetable, "timetable", None)
    return f"{said}, and {_schedule(clock)}" if clock else said


def _dag(dag: Any) -> str:
    rows = []
    for task in sorted(dag.tasks, key=lambda t: t.task_id):
        said = job_docs(task.task_id.partition("__")[0])
        does = said.get("does") or (task.doc_md or task.python_callable.__doc__ or "").partition("\n")[0]
        after = ", ".join(map(code, sorted(task.upstream_task_ids)))
        rows.append((code(task.task_id), after, does, said.get("reads", ""), said.get("writes", "")))
    facts = f"- schedule: {_schedule(dag.timetable)}\n- tags: {', '.join(map(code, sorted(dag.tags)))}"
    own = (dag.doc_md or "").strip()
    return f"## {dag.dag_id}\n\n{facts}\n\n{grid(('task', 'after', 'does', 'reads', 'writes'), rows)}\n{own}"


def dags_page(dags: dict[str, Any]) -> str:
    """Return the page of all DAGs, by their ids."""
    overview = grid(
        ("DAG", "runs", "tasks"),
        ((f"[{name}](#{name})", _schedule(dag.timetable), len(dag.tasks)) for name, dag in sorted(dags.items())),
    )
    return page("DAGs · 调度", overview, *(_dag(dag) for _, dag in sorted(dags.items())))


def main() -> None:
    """Parse the DAGs in a home of their own, without a scheduler, and write the page."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(builtin_folder() / "plugins"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        }
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(builtin_folder() / "dags", known_pools={"engine"})
    if bag.import_errors:
        sys.exit("\n".join(f"{file}: {error}" for file, error in sorted(bag.import_errors.items())))
    changed = write(FOLDER, {"dags.md": dags_page(bag.dags)})
    sys.stdout.write(f"docs/reference: {', '.join(changed) or 'dags.md is up to date'}\n")


if __name__ == "__main__":
    main()
