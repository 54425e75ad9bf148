"""Grades of sensitivity (GB/T 43697-2024): what each means, who may read it, and in which form it may leave."""

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

from pydantic import model_validator

from ronghe.contracts.base import Declaration
from ronghe.contracts.odcs import Grade
from ronghe.contracts.table import Operator, Table, Treatment

GRADES: tuple[Grade, ...] = get_args(Grade)


class GradeRule(Declaration):
    """One grade; `leaves` are the treatments under which a value of it may leave the restricted half."""

    grade: Grade
    name_zh: str
    name_en: str
    meaning: str
    readers: str
    leaves: tuple[Operator, ...]


class Classification(Declaration):
    """The ladder of grades, lowest first; a higher grade allows nothing that a lower one refuses."""

    source: str
    version: str
    grades: tuple[GradeRule, ...]

    @model_validator(mode="after")
    def _whole_ladder(self) -> "Classification":
        found = tuple(rule.grade for rule in self.grades)
        if found != GRADES:
            raise ValueError(f"grades must be {', '.join(GRADES)}, in this order; found {', '.join(found)}")
        for lower, higher in zip(self.grades, self.grades[1:], strict=False):
            if more := sorted(set(higher.leaves) - set(lower.leaves)):
                raise ValueError(f"{higher.grade} lets {more} leave, which {lower.grade} does not")
        return self

    def of(self, grade: Grade) -> GradeRule:
        """Return the rule of a grade."""
        return self.grades[GRADES.index(grade)]


def read_classification(path: Path) -> Classification:
    """Read the ladder of grades.

    Raises:
        ContractError: the file is wrong or a grade is missing.
    """
    return Classification.from_yaml(path)


def grade_of(table: Table) -> Grade:
    """Return a table's grade: that of its highest column."""
    return max((column.classification for column in table.columns), key=GRADES.index)


def operators(treatment: Treatment) -> tuple[Operator, ...]:
    """Return every operator a treatment may apply, whatever the row."""
    others: Iterable[Operator] = operators(treatment.otherwise) if treatment.otherwise else ()
    return (treatment.operator, *others)
