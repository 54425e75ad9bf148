"""An undisturbed night of another seed: every oracle, and nothing personal outside the restricted half."""

import pytest

from ronghe.home import Home
from tests.oracles.night import ORACLES

pytestmark = pytest.mark.engine

# Texts hold few of each kind in so small a night; one miss must show.
CHECKED_TYPES = {"CN_RESIDENT_ID", "CN_MOBILE", "CN_BANK_CARD", "EMAIL"}


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_night_of_another_seed_is_right(oracle: object, reference: Home) -> None:
    assert oracle(reference) == []  # type: ignore[operator]
