"""Look at the machine, the lake and the releases, and say of each thing whether it is well, or what mends it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict

import typer

from ronghe.doctor import lake, machine, releases
from ronghe.doctor import security as keeps_out
from ronghe.doctor.findings import Finding
from ronghe.home import Home

# In this order: a machine that is not well explains much of what comes after it.
LOOKS: tuple[Callable[[Home], Iterator[Finding]], ...] = (
    machine.findings,
    lake.findings,
    releases.findings,
)


def examine(home: Home, *, as_json: bool, security: bool = False) -> bool:
    """Print what every look found, or the one at what keeps others out; say whether all is well."""
    looks = (keeps_out.findings,) if security else LOOKS
    return show([finding for look in looks for finding in look(home)], as_json=as_json)


def show(found: list[Finding], *, as_json: bool) -> bool:
    """Print findings, what is wrong with its remedy, or all of it as JSON; say whether all is well."""
    bad = [finding for finding in found if not finding.ok]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=1))
        return not bad
    for finding in found:
        typer.secho(
            f"{'ok' if finding.ok else 'NO'}  {finding.check}: {finding.said}", fg=None if finding.ok else "red"
        )
        if not finding.ok:
            typer.echo(f"    {finding.mend}")
    typer.echo(f"{len(found)} things looked at, {len(bad) or 'nothing'} wrong")
    return not bad
