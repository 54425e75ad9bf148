"""Free text that crossed, against what was planted in it: what of each kind is gone, and what should have stayed."""

from collections import Counter

from ronghe.home import Home
from tests.oracles import database, truth


def text_recall(home: Home) -> dict[str, float]:
    """Return which share of the planted identifiers of each kind is not in the safe text as it was written."""
    return {entity: 1 - share for entity, share in _standing(home, "text_identifiers").items()}


def text_precision(home: Home) -> dict[str, float]:
    """Return which share of the numbers that only look like identifiers stands in the safe text as written, by kind."""
    return _standing(home, "text_look_alikes")


def _standing(home: Home, facts: str) -> dict[str, float]:
    """Return by kind the share of planted texts that stand in the request's safe text."""
    tables = database(home, "fused.service_request", "safe.service_request")
    said = dict(
        tables.sql(
            "SELECT f.request_number, s.request_text "
            "FROM fused_service_request f JOIN safe_service_request s USING (request_id)"
        ).fetchall()
    )
    asked: Counter[str] = Counter()
    stands: Counter[str] = Counter()
    for planted in truth(home, facts):
        text = said.get(planted["request_number"])
        if text is not None:
            asked[planted["entity"]] += 1
            stands[planted["entity"]] += planted["text"] in text
    return {entity: stands[entity] / count for entity, count in sorted(asked.items())}
