"""Reference pages in Markdown (`docs/reference/`), made from the declarations alone: `make docs`.

Equal declarations give equal text; a test compares it with what is committed.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ronghe.contracts import Catalogue, Column, ColumnMap, Feed, Source, Table, Treatment
from ronghe.contracts.classification import grade_of
from ronghe.contracts.codeset import CodeSet

NOTE = "<!-- Made by `make docs` from the declarations; do not edit. -->"
LAYERS = {
    "raw": "records as read, without the columns the contract refuses (贴源层)",
    "std": "one schema for all sources: codes, units, UTC, WGS-84 (标准层)",
    "fused": "one row per organisation, place and asset (融合层)",
    "safe": "what crossed to the open half under its treatments (脱敏层)",
    "mart": "figures for analysts; those about persons passed the gate (集市层)",
    "meta": "what was done: deliveries, quarantine, quality, audits (台账)",
}


def cell(text: object) -> str:
    """Return a text as one cell of a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def grid(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def page(title: str, *parts: str) -> str:
    """Return a page: its title, the note that it is made, its parts."""
    return "\n\n".join([f"# {title}", NOTE, *(part.strip("\n") for part in parts)]) + "\n"


def code(text: object) -> str:
    """Return a text as code, empty for nothing."""
    return f"`{text}`" if text not in (None, "") else ""


def pages(found: Catalogue) -> dict[str, str]:
    """Return every page that follows from the catalogue, by its path below `docs/reference/`."""
    layers = {layer: [t for t in found.tables.values() if t.layer == layer] for layer in LAYERS}
    return {
        "sources.md": _sources(found),
        "tables.md": _tables(layers),
        **{f"tables-{layer}.md": _layer(layer, own, found) for layer, own in layers.items() if own},
        "elements.md": _elements(found),
        "codesets.md": _codesets(found),
        "grades.md": _grades(found),
    }


def _sources(found: Catalogue) -> str:
    """Return who delivers what, how, and where it goes."""
    overview = grid(
        ("source", "名称", "level", "division", "clock", "every day at", "owner", "feeds"),
        (
            (
                f"[{source.code}](#{source.code})",
                source.name_zh,
                source.admin_level,
                source.division_code,
                source.timezone,
                code(source.schedule),
                source.owner,
                len(found.feeds_of(source.code)),
            )
            for source in found.sources.values()
        ),
    )
    return page(
        "Sources and feeds · 数据来源", overview, *(_source(source, found) for source in found.sources.values())
    )


def _source(source: Source, found: Catalogue) -> str:
    parts = [f"## {source.code}", f"{source.name_zh} · {source.name_en}"]
    parts += [_feed(feed) for feed in found.feeds_of(source.code)]
    return "\n\n".join(parts)


def _factors(column: ColumnMap) -> list[str]:
    """Return by what a number is multiplied: always alike, or by the unit that another column names."""
    if column.factor is None:
        return []
    if isinstance(column.factor, float):
        return [f"× {column.factor:g}"]
    return [f"× {factor:g} where {column.factor.by} is {unit}" for unit, factor in column.factor.of.items()]


def _feed(feed: Feed) -> str:
    reader = feed.reader
    facts = {
        "target": code(feed.target),
        "one record": feed.grain,
        "lands in": code(f"{feed.source_code}/{feed.landing}"),
        "format": f"{reader.format}, {reader.encoding}" if reader.format not in ("xlsx", "parquet") else reader.format,
        "transport": f"{feed.transport.kind} ({feed.transport.connection})" if feed.transport else "files",
        "every": "day" if feed.frequency_days == 1 else f"{feed.frequency_days} days",
        "late by": f"{feed.lateness_days} days at most",
        "clock": feed.timezone,
        "coordinates": feed.coordinate_system or "no positions",
        "stopped above": f"{feed.max_quarantined_pct:g} % in quarantine",
        "refused": ", ".join(map(code, feed.refuse)) or "nothing",
        "version": feed.version,
    }
    columns = grid(
        ("column", "becomes", "how", "grade", "meaning"),
        (
            (
                code(column.name),
                code(column.to) or f"nothing: {column.ignore}",
                ", ".join(
                    [
                        *column.normalise,
                        *([code(column.format)] if column.format else []),
                        *_factors(column),
                    ]
                ),
                column.classification,
                column.description,
            )
            for column in feed.columns
        ),
    )
    constants = "".join(f"\n- {code(name)} is always {code(value)}" for name, value in feed.constants.items())
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return (
        f"### {feed.id}\n\n**{feed.title}** · {feed.title_zh}. {feed.description}\n\n{listed}{constants}\n\n{columns}"
    )


def _tables(layers: dict[str, list[Table]]) -> str:
    parts = []
    for layer, own in layers.items():
        if own:
            rows = (
                (f"[{t.id}](tables-{layer}.md#{_anchor(t.id)})", t.title_zh, t.title, t.grain, grade_of(t), t.version)
                for t in own
            )
            head = ("table", "名称", "title", "one row", "grade", "version")
            parts.append(f"## {layer}\n\n{_sentence(LAYERS[layer])}\n\n{grid(head, rows)}")
    return page("Tables · 数据表", *parts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _anchor(heading: str) -> str:
    """Return the anchor that Markdown viewers give to a heading."""
    return "".join(sign for sign in heading.lower().replace(" ", "-") if sign.isalnum() or sign in "-_")


def _layer(layer: str, own: list[Table], found: Catalogue) -> str:
    return page(f"Tables of the layer {layer}", _sentence(LAYERS[layer]), *(_table(table, found) for table in own))


def _table(table: Table, found: Catalogue) -> str:
    checks = found.expectations(table.id)
    facts = {
        "one row": table.grain,
        "half": table.zone,
        "grade": f"{grade_of(table)} ({found.grades.of(grade_of(table)).name_en})",
        "key": ", ".join(map(code, table.primary_key)) or "none",
        "purpose": code(table.purpose),
        "use": table.usage,
        "limits": table.limitations,
        "version": table.version,
    }
    if table.crosses:
        facts["made from"] = code(table.crosses)
    if table.gate:
        rungs = " → ".join(rung.name for rung in table.gate.rungs)
        facts["gate"] = f"at least {table.gate.minimum_count} persons in a cell; {rungs}"
    if table.layer in ("std", "safe", "mart"):
        facts["checks"] = f"{sum(c.severity == 'stop' for c in checks)} stop, "
        facts["checks"] += f"{sum(c.severity == 'warn' for c in checks)} warn"
    columns = grid(
        ("column", "数据元", "element", "type", "unit", "codes", "grade", "leaves", "meaning"),
        (_column(column, found) for column in table.columns),
    )
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"## {table.id}\n\n**{table.title}** · {table.title_zh}. {table.description}\n\n{listed}\n\n{columns}"


def _column(column: Column, found: Catalogue) -> tuple[object, ...]:
    codes = f"[{column.codes}](codesets.md#{_anchor(column.codes)})" if column.codes else ""
    return (
        code(column.name) + ("" if column.required else " ?"),
        found.elements[column.element].name_zh,
        column.element,
        column.physical_type,
        column.unit or "",
        codes,
        column.classification,
        _treatment(column.treatment),
        column.description,
    )


def _treatment(treatment: Treatment) -> str:
    if treatment.otherwise is None:
        return treatment.operator
    return f"{treatment.operator} if {treatment.when}, else {_treatment(treatment.otherwise)}"


def _elements(found: Catalogue) -> str:
    uses: dict[str, list[str]] = {}
    for table in found.tables.values():
        for column in table.columns:
            if table.layer != "raw":
                uses.setdefault(column.element, []).append(f"{table.id}.{column.name}")
    rows = (
        (code(e.id), e.name_zh, e.definition, e.type, e.unit or "", e.reference or "", len(uses.get(e.id, ())))
        for e in found.elements.values()
    )
    head = ("element", "名称", "definition", "type", "unit", "standard", "columns")
    return page(
        "Data elements · 数据元",
        "What a column means, once for all tables (ISO/IEC 11179, GB/T 18391).",
        grid(head, rows),
    )


def _codesets(found: Catalogue) -> str:
    return page("Code sets · 代码集", *(_codeset(codeset) for codeset in found.codesets.values()))


def _codeset(codeset: CodeSet) -> str:
    parts = [f"## {codeset.id}", f"{codeset.name_zh} · version {codeset.version}. Source: {codeset.source}."]
    if codeset.kind == "division":
        parts.append("Codes with their years of validity are rows of `safe.division`. Successors that are declared:")
        changes = ((c.code, c.year, ", ".join(c.successors)) for c in codeset.changes)
        parts.append(grid(("code", "given up in", "successors"), changes))
    else:
        codes = (
            (code(c.code), c.name_zh, ", ".join(c.aliases), c.valid_from or "", c.valid_to or "") for c in codeset.codes
        )
        parts.append(grid(("code", "名称", "also written", "valid from", "valid to"), codes))
    return "\n\n".join(parts)


def _grades(found: Catalogue) -> str:
    ladder = grid(
        ("grade", "名称", "name", "meaning", "who may read", "may leave under"),
        ((g.grade, g.name_zh, g.name_en, g.meaning, g.readers, ", ".join(g.leaves)) for g in found.grades.grades),
    )
    note = (
        f"{found.grades.source}. A table has the grade of its highest column. A treatment that a grade does not allow "
        "is refused when the declarations are read."
    )
    return page("Grades · 数据分级", note, ladder)


_DECISIONS = """# Decisions

Why it is built as it is. A decision is not rewritten when it no longer holds: a later one says so and names it. A new
one takes the next number and says what was decided, why, and what it costs; `make docs` puts it into this list.

| | decision |
|---|---|
"""


def decisions(folder: Path) -> str:
    """Return the list of the decisions of a folder, by number; a page's first line is `# <number>. <title>`."""
    lines = []
    for path in sorted(folder.glob("[0-9]*.md")):
        number, _, title = path.read_text("utf-8").splitlines()[0].removeprefix("# ").partition(". ")
        lines.append(f"| {number} | [{title}]({path.name}) |\n")
    return _DECISIONS + "".join(lines)


def stale(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Return the pages of a folder that are not as they would be made now, or are missing."""
    return sorted(
        name
        for name, text in wanted.items()
        if not (folder / name).is_file() or (folder / name).read_text("utf-8") != text
    )


def write(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Write the pages that changed; return their names."""
    changed = stale(folder, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        (folder / name).write_text(wanted[name], "utf-8")
    return changed
