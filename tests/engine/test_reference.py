"""An undisturbed night of another seed is right by every oracle."""

from collections.abc import Callable

import pytest

from ronghe.home import Home
from tests.oracles.night import ORACLES

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_night_of_another_seed_is_right(oracle: Callable[[Home], list[str]], reference: Home) -> None:
    assert oracle(reference) == []
