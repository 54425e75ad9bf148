"""Replay the quarantine of a feed by hand."""

import typer

from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import run_job
from ronghe.lake import Lake
from ronghe.ledger import quarantined_rows
from ronghe.quality import replay


def replay_feed(home: Home, feed_id: str, days: str | None) -> None:
    """Decide what is in quarantine of a feed again, and say what came of it.

    Raises:
        ContractError: there is no such feed.
        DataStopped: a check that must hold would not; nothing was moved.
    """
    feed = catalogue().feed(feed_id)
    moved = run_job(replay.run, "replay_quarantine", feed_id=feed.id, days=days)
    lines = quarantined_rows(Lake(home, catalogue()), "reasons")
    reasons = [line["reasons"] for line in lines if line["feed_id"] == feed.id]
    typer.echo(f"{feed.id}: {moved:,} records left quarantine, {len(reasons):,} stay (ronghe quarantine {feed.id})")
    if destroyed := sum(replay.DESTROYED in text.split() for text in reasons):
        typer.echo(f"  of these {destroyed:,} cannot be replayed: what was read was destroyed with the key of its day")
    if moved:
        typer.echo("ronghe run builds anew what is made from them")
