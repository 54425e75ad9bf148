"""The catalogue: every declaration in force, read once, and checked against one another."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ronghe.contracts.base import ContractError
from ronghe.contracts.classification import Classification, read_classification
from ronghe.contracts.codeset import CodeSet, read_codeset
from ronghe.contracts.ddl import raw_table
from ronghe.contracts.element import Element, read_elements
from ronghe.contracts.expectations import Expectation, contract_expectations, read_expectations
from ronghe.contracts.extract import Extract, read_extract
from ronghe.contracts.faults import find_faults
from ronghe.contracts.index import RiskIndex, read_index
from ronghe.contracts.limits import LimitSet, read_limits
from ronghe.contracts.linkage import Linkage, read_linkage
from ronghe.contracts.policy import TextPolicy, read_policy
from ronghe.contracts.source import SUFFIX, Feed, Source, read_feed
from ronghe.contracts.table import Table, read_table

BUILTIN = "builtin"
FOLDERS_VARIABLE, SOURCES_VARIABLE = "RONGHE_SCHEMAS", "RONGHE_SOURCES"
# Where declarations stand in a folder, and the only places they are read from.
_SOURCES, _FEEDS = "schemas/sources/*/source.yaml", f"schemas/sources/*/*{SUFFIX}"
_TABLES, _ELEMENTS = f"schemas/tables/*/*{SUFFIX}", "schemas/elements/*.yaml"
_EXPECTATIONS, _CLASSIFICATION = "expectations/*/*.yaml", "schemas/classification.yaml"
_OTHERS = {
    kind: f"schemas/{kind}/*.yaml" for kind in ("codesets", "linkage", "indices", "limits", "policies", "extracts")
}
_PLACES = (_SOURCES, _FEEDS, _TABLES, _ELEMENTS, _EXPECTATIONS, _CLASSIFICATION, *_OTHERS.values())

T = TypeVar("T")


def builtin_folder() -> Path:
    """Return the folder that holds our own `schemas/` and `expectations/`: the repository, or the wheel's copy."""
    package = Path(__file__).resolve().parents[1]
    repository = package.parents[1]
    return repository if (repository / "schemas").is_dir() else package / "_declarations"


def declaration_folders() -> tuple[Path, ...]:
    """Return the folders of `RONGHE_SCHEMAS` (separated like PATH; `builtin` stands for ours), later ones win.

    Raises:
        ContractError: a folder does not exist.
    """
    folders = []
    for entry in os.environ.get(FOLDERS_VARIABLE, BUILTIN).split(os.pathsep):
        folder = builtin_folder() if entry == BUILTIN else Path(entry).expanduser().resolve()
        if not (folder / "schemas").is_dir():
            raise ContractError(f"{FOLDERS_VARIABLE} names {folder}, which has no folder `schemas`")
        folders.append(folder)
    return tuple(folders)


def wanted_sources() -> tuple[str, ...]:
    """Return the codes that `RONGHE_SOURCES` lists (`shanghai,harbin`); none stands for every declared source."""
    return tuple(code for entry in os.environ.get(SOURCES_VARIABLE, "").split(",") if (code := entry.strip()))


@dataclass(frozen=True)
class Catalogue:
    """Every declaration by its id, in a stable order."""

    sources: dict[str, Source] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    elements: dict[str, Element] = field(default_factory=dict)
    codesets: dict[str, CodeSet] = field(default_factory=dict)
    linkages: dict[str, Linkage] = field(default_factory=dict)
    indices: dict[str, RiskIndex] = field(default_factory=dict)
    limits: dict[str, LimitSet] = field(default_factory=dict)
    policies: dict[str, TextPolicy] = field(default_factory=dict)
    extracts: dict[str, Extract] = field(default_factory=dict)
    declared: dict[str, tuple[Expectation, ...]] = field(default_factory=dict)
    classification: Classification | None = None

    @property
    def grades(self) -> Classification:
        """The ladder of grades.

        Raises:
            ContractError: no folder declares it.
        """
        if self.classification is None:
            raise ContractError("no folder of RONGHE_SCHEMAS has schemas/classification.yaml")
        return self.classification

    def feed(self, feed_id: str) -> Feed:
        """Return a feed.

        Raises:
            ContractError: there is none of that id; names the ones there are.
        """
        return _named(self.feeds, feed_id, "feed")

    def table(self, table_id: str) -> Table:
        """Return a table, the raw tables of the feeds included.

        Raises:
            ContractError: there is none of that id; names the ones there are.
        """
        return _named(self.tables, table_id, "table")

    def linkage(self, linkage_id: str) -> Linkage:
        """Return a linkage.

        Raises:
            ContractError: there is none of that id; names the ones there are.
        """
        return _named(self.linkages, linkage_id, "linkage")

    def index(self, index_id: str) -> RiskIndex:
        """Return a composite index.

        Raises:
            ContractError: there is none of that id; names the ones there are.
        """
        return _named(self.indices, index_id, "index")

    def policy(self, policy_id: str) -> TextPolicy:
        """Return a policy for text.

        Raises:
            ContractError: there is none of that id; names the ones there are.
        """
        return _named(self.policies, policy_id, "policy for text")

    def codeset(self, codeset_id: str) -> CodeSet:
        """Return a code set.

        Raises:
            ContractError: there is none of that id; names the ones there are.
        """
        return _named(self.codesets, codeset_id, "code set")

    def extract(self, extract_id: str) -> Extract:
        """Return an extract.

        Raises:
            ContractError: there is none of that id; names the ones there are.
        """
        return _named(self.extracts, extract_id, "extract")

    def feeds_of(self, source_code: str) -> tuple[Feed, ...]:
        """Return the feeds of one source, in the order of their ids."""
        return tuple(feed for feed in self.feeds.values() if feed.source_code == source_code)

    def expectations(self, table_id: str) -> tuple[Expectation, ...]:
        """Return every check of a table: those of its contract, then the declared ones.

        A declared check takes the place of a warning the contract gives by itself, such as that of an empty mart.
        """
        declared = self.declared.get(table_id, ())
        sharper = {(check.expectation, check.kwargs.get("column")) for check in declared}
        derived = contract_expectations(self.table(table_id), self.codesets)
        kept = (e for e in derived if e.severity == "stop" or (e.expectation, e.kwargs.get("column")) not in sharper)
        return (*kept, *declared)


def _named(things: dict[str, T], key: str, kind: str) -> T:
    if key not in things:
        raise ContractError(f"there is no {kind} {key!r}; there are {', '.join(things)}")
    return things[key]


def load_sources(folders: Iterable[Path] | None = None, wanted: tuple[str, ...] | None = None) -> dict[str, Source]:
    """Return the sources in force by code, sorted, without reading a feed: cheap enough for the parsing of DAGs.

    Args:
        folders: where they are declared; by default those of `RONGHE_SCHEMAS`.
        wanted: the codes of those in force, all where it is empty; by default what `RONGHE_SOURCES` lists.

    Raises:
        ContractError: a source does not stand under its code, or one that is wanted is not declared.
    """
    found = {}
    for folder in folders or declaration_folders():
        for path in sorted(folder.glob(_SOURCES)):
            source = Source.from_yaml(path)
            if source.code != path.parent.name:
                raise ContractError(f"{path}: code {source.code!r} must be {path.parent.name!r}, after the folder")
            found[source.code] = source
    return _in_force(dict(sorted(found.items())), wanted)


def _in_force(declared: dict[str, Source], wanted: tuple[str, ...] | None) -> dict[str, Source]:
    """Return those of the declared sources that are wanted; see `load_sources`."""
    wanted = wanted_sources() if wanted is None else wanted
    if unknown := sorted(set(wanted) - set(declared)):
        raise ContractError(f"{SOURCES_VARIABLE} names {', '.join(unknown)}; declared are {', '.join(declared)}")
    return {code: source for code, source in declared.items() if not wanted or code in wanted}


def load_feeds(folders: Iterable[Path] | None = None, wanted: tuple[str, ...] | None = None) -> dict[str, Feed]:
    """Return the feeds of the sources in force by id, sorted; arguments as for `load_sources`."""
    folders = tuple(folders or declaration_folders())
    declared = load_sources(folders, ())
    sources = _in_force(declared, wanted)
    found: dict[str, Feed] = {}
    for path in _files(folders, _FEEDS):
        if path.parent.name not in declared:
            raise ContractError(f"{path}: its folder has no source.yaml")
        if path.parent.name not in sources:
            continue
        feed = read_feed(path, sources[path.parent.name])
        found[feed.id] = feed
    return dict(sorted(found.items()))


def _refuse_unread(folders: Iterable[Path]) -> None:
    """Check that every declaration stands where it is read: one that is not looks in force, and is not.

    Raises:
        ContractError: names the files.
    """
    for folder in folders:
        read = {path for pattern in _PLACES for path in folder.glob(pattern)}
        found = (path for part in ("schemas", "expectations") for path in folder.glob(f"{part}/**/*"))
        # Tools keep files of their own in hidden places, and so do mounts of Kubernetes.
        there = (p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))
        if unread := sorted(str(p) for p in there if p.suffix.lower() in (".yaml", ".yml") and p not in read):
            raise ContractError(f"nobody reads {', '.join(unread)}: declarations stand at {', '.join(_PLACES)}")


def _files(folders: Iterable[Path], pattern: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob(pattern))


def _load(folders: tuple[Path, ...], pattern: str, read: Callable[[Path], Any]) -> dict[str, Any]:
    """Return declarations by id, later folders winning, in the order of their ids."""
    found = {}
    for path in _files(folders, pattern):
        thing = read(path)
        found[thing.id] = thing
    return dict(sorted(found.items()))


@cache
def load_catalogue(folders: tuple[Path, ...], wanted: tuple[str, ...] = ()) -> Catalogue:
    """Read and cross-check every declaration of the folders, and of sources only those that are wanted, if any is.

    Raises:
        ContractError: names every declaration that points at nothing or contradicts another.
    """
    _refuse_unread(folders)
    feeds = load_feeds(folders, wanted)
    tables = _load(folders, _TABLES, read_table)
    elements = {e.id: e for path in _files(folders, _ELEMENTS) for e in read_elements(path)}
    declared = {d.table: d.expectations for d in map(read_expectations, _files(folders, _EXPECTATIONS))}
    ladders = [read_classification(path) for path in _files(folders, _CLASSIFICATION)]
    found = Catalogue(
        sources=load_sources(folders, wanted),
        feeds=feeds,
        tables={**{f.raw_table: raw_table(f) for f in feeds.values()}, **tables},
        elements=dict(sorted(elements.items())),
        codesets=_load(folders, _OTHERS["codesets"], read_codeset),
        linkages=_load(folders, _OTHERS["linkage"], read_linkage),
        indices=_load(folders, _OTHERS["indices"], read_index),
        limits=_load(folders, _OTHERS["limits"], read_limits),
        policies=_load(folders, _OTHERS["policies"], read_policy),
        extracts=_load(folders, _OTHERS["extracts"], read_extract),
        declared=declared,
        classification=ladders[-1] if ladders else None,
    )
    if faults := find_faults(found):
        raise ContractError(f"{'; '.join(faults)}. Mend the declarations, then ask `ronghe status`.")
    return found


def catalogue() -> Catalogue:
    """Return the catalogue of the folders and sources in force (`RONGHE_SCHEMAS`, `RONGHE_SOURCES`)."""
    return load_catalogue(declaration_folders(), wanted_sources())
