"""How tests are dealt out where two processes run them (`-n 2 --dist loadgroup`)."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests together, and all files that need the reference night: it is made once."""
    nightly = {item.path for item in items if "reference" in getattr(item, "fixturenames", ())}
    for item in items:
        item.add_marker(pytest.mark.xdist_group("reference" if item.path in nightly else str(item.path)))
