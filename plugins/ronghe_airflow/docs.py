"""What an operator reads on the page of a DAG that is made from declarations."""

from collections.abc import Iterable

from ronghe.contracts import Feed, Source

_INGEST = """\
### Deliveries of {source.name_zh} ({source.name_en})

Takes every delivery of {source.owner} that is not accepted yet. Owner of the data: {source.owner}.

| feed | delivers to | target | what it is |
|---|---|---|---|
{rows}

Each feed is one task: it lands what is new, brings it under the standard, and accepts what passes the checks.

**When nothing is new** a task is skipped. **A wrong record** goes to quarantine and stops nothing:
`ronghe quarantine {source.code}`, docs/runbooks/quarantine.md. **A wrong file** is rejected and the others go on;
`ronghe status` gives the reason. **A failed task that names a check** means that the check does not hold for a
delivery: its data stay back. Ask the source for a corrected delivery, which is taken as any other; or mend the
contract, raise its version, and start a run: what was stopped or rejected under the older version is taken again:
docs/runbooks/stopped-delivery.md. **Any other failed task**: docs/runbooks/failed-task.md; "does not answer":
docs/runbooks/engine-does-not-answer.md.

Running a task again, or killing it anywhere and running it again, gives the same tables.
"""


def ingest_markdown(source: Source, feeds: Iterable[Feed]) -> str:
    """Return the page of a source's ingest."""
    rows = "\n".join(
        f"| {feed.id} | `{source.code}/{feed.landing}` | `{feed.target}` | {feed.description} |" for feed in feeds
    )
    return _INGEST.format(source=source, rows=rows)
