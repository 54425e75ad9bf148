"""Every guard has teeth: with the guard switched off, the same check goes red."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from _pytest.outcomes import Failed


@contextmanager
def goes_red() -> Iterator[None]:
    """Expect that the check inside finds a fault: a test that stays green without its guard is worth nothing."""
    with pytest.raises((AssertionError, Failed)):
        yield
