"""Limits: what a standard allows of each indicator, and how a day's readings are held against it."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from ronghe.contracts.base import ContractError, Declaration


class Limit(Declaration):
    """What a standard allows of one indicator in one day.

    Attributes:
        indicator_code: code of `environment_indicator`.
        unit: UCUM unit of the limits and of every reading of the indicator.
        statistic: `mean` of the day's valid readings, or `largest_8h_mean`: the largest mean over eight hours that
            end inside the day, each of at least six readings.
        minimum: least value allowed.
        maximum: largest value allowed.
        least_readings: valid readings (of `largest_8h_mean`: means over eight hours) without which a day is not
            judged.
    """

    indicator_code: str
    unit: str
    statistic: Literal["mean", "largest_8h_mean"]
    minimum: float | None = None
    maximum: float | None = None
    least_readings: int = Field(ge=1)

    @model_validator(mode="after")
    def _limited(self) -> "Limit":
        if self.minimum is None and self.maximum is None:
            raise ValueError(f"{self.indicator_code} has neither `minimum` nor `maximum`")
        return self


class LimitSet(Declaration):
    """The limits of one standard for one kind of place; `readings_per_day` is what a whole day has."""

    id: str
    name_zh: str
    source: str
    version: str
    place_kind_code: str
    readings_per_day: int = Field(ge=1)
    limits: tuple[Limit, ...] = Field(min_length=1)


def read_limits(path: Path) -> LimitSet:
    """Read the limits of one standard; their id is the file's name.

    Raises:
        ContractError: the file is wrong or the id differs from the file's name.
    """
    found = LimitSet.from_yaml(path)
    if found.id != path.stem:
        raise ContractError(f"{path}: id {found.id!r} must be {path.stem!r}, after the file")
    return found
