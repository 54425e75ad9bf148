"""What `ronghe replay` says came of it."""

from pathlib import Path

import pytest

from ronghe.cli import replay as command
from ronghe.contracts import ContractError
from ronghe.home import Home
from ronghe.quality import replay

FEED = "shenzhen.swipe"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The jobs that are run, instead of running them; three records leave quarantine and two stay."""
    asked: list[object] = []

    def run_job(run: object, name: str, **options: object) -> int:
        asked.append((run, name, options["feed_id"], options["days"]))
        return 3

    reasons = ("format:fare_cny", f"code:swipe_kind_code {replay.DESTROYED}")
    lines = [{"feed_id": FEED, "reasons": text} for text in reasons] + [{"feed_id": "other.feed", "reasons": "x"}]
    monkeypatch.setattr(command, "run_job", run_job)
    monkeypatch.setattr(command, "quarantined_rows", lambda *_: lines)
    return asked


def test_what_left_what_stays_and_what_was_destroyed_is_told(
    asked: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.replay_feed(Home(tmp_path), FEED, "2026-11-02")
    # The name of the feed is the lock's, so that no ingest of it runs meanwhile.
    assert asked == [(replay.run, "replay_quarantine", FEED, "2026-11-02")]
    said = capsys.readouterr().out
    assert "3 records left quarantine, 2 stay" in said
    assert "of these 1 cannot be replayed" in said
    assert "ronghe run" in said


def test_feed_that_is_not_declared_is_refused(asked: list[object], tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"there is no feed 'shenzhen\.tap'"):
        command.replay_feed(Home(tmp_path), "shenzhen.tap", None)
    assert asked == []
