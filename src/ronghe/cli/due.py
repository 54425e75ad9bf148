"""What the next maintenance destroys, told before: it cannot be brought back."""

from datetime import UTC, date, datetime

import typer

from ronghe import sessions
from ronghe.contracts import catalogue
from ronghe.home import Home
from ronghe.job import Faults, without_row_content
from ronghe.lake import Lake
from ronghe.privacy.keys import KeyStore
from ronghe.retention.due import Act, everything, newest_day


def show_due(home: Home) -> None:
    """Print a line for each act of destruction that is due under the declarations in force; change nothing.

    Raises:
        DataStopped: something cannot be told, and would hold its own destruction back; what is due of all else was
            printed.
    """
    faults = Faults()
    with sessions.on_engine(home, "due") as spark, without_row_content(home, "due"):
        lake = Lake(home, catalogue(), spark)
        as_of = newest_day(lake, datetime.now(UTC).date())
        found = everything(lake, home, KeyStore(home.keys).ids(), as_of, faults) if as_of else ()
        acts = [act for act in found if act.is_due]
        _print(acts, as_of)
        faults.tell()


def _print(acts: list[Act], as_of: date | None) -> None:
    for act in acts:
        typer.echo(f"{act.reason:10} {act.subject:40} {_what_goes(act)}")
    since = f"measured from {as_of}, the newest business day that was accepted" if as_of else "nothing was accepted yet"
    typer.echo(f"{len(acts) or 'nothing'} due, {since}. Nothing was changed; maintain_lake destroys it, for good.")


def _what_goes(act: Act) -> str:
    """Return what is there to go, and until which day."""
    counts = {
        "deliveries": len(act.deliveries),
        "records": act.records,
        "files": len(act.originals),
        "keys of days": len(act.keys),
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return f"{said}, until {act.until}" if act.until else said
