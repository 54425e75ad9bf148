"""Declarations: strict models of `schemas/` and `expectations/`, their loaders and their compilers.

Pure Python: importing it starts no engine and imports neither Spark nor Airflow.
"""

from ronghe.contracts.base import ContractError
from ronghe.contracts.catalogue import Catalogue, catalogue, load_feeds, load_sources
from ronghe.contracts.extract import Extract
from ronghe.contracts.source import ColumnMap, Feed, Reader, Source
from ronghe.contracts.table import Column, Table, Treatment

__all__ = [
    "Catalogue",
    "Column",
    "ColumnMap",
    "ContractError",
    "Extract",
    "Feed",
    "Reader",
    "Source",
    "Table",
    "Treatment",
    "catalogue",
    "load_feeds",
    "load_sources",
]
