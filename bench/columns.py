"""Columns: fused organisations cross to the open half under treatments of columns."""

from pathlib import Path

from bench import organisations
from bench.world import Stage, Task, World
from ronghe.contracts import catalogue
from ronghe.privacy.treatments import desensitise

ORIGIN, TARGET = "fused.organisation", "safe.organisation"


def prepare(world: World) -> None:
    """Write the fused organisations."""
    world.put(ORIGIN, organisations.fused(world.records))


def run(world: World) -> None:
    """Treat the columns and write the safe table, as `jobs/desensitise_fused.py` does for each table."""
    lake, origin, target = world.lake, world.catalogue.table(ORIGIN), world.catalogue.table(TARGET)
    fingerprint = lake.fingerprint(TARGET, None, [ORIGIN], [origin])
    lake.merge(TARGET, desensitise(lake.read(ORIGIN), origin, target), fingerprint)


def task(world: World, out: Path) -> Task:
    """Name the fused organisations."""
    return Task(world.paths(ORIGIN), out)


def twin(task: Task) -> None:
    """Treat the columns as the contract of the fused table says."""
    task.write(
        task.database(),
        TARGET,
        """SELECT * REPLACE (
               CASE WHEN is_sole_trader THEN '<个体工商户>' ELSE uscc END AS uscc,
               CASE WHEN is_sole_trader THEN '<个体工商户>' ELSE organisation_name END AS organisation_name,
               CASE WHEN legal_representative_name IS NOT NULL THEN '' END AS legal_representative_name,
               CASE WHEN contact_phone IS NULL THEN NULL WHEN is_sole_trader THEN ''
                    ELSE left(contact_phone, greatest(length(contact_phone) - 8, 0))
                         || repeat('*', least(8, length(contact_phone))) END AS contact_phone,
               CASE WHEN is_sole_trader AND address IS NOT NULL THEN '' ELSE address END AS address)
           FROM fused_organisation""",
    )


STAGE = Stage(
    name="columns",
    prepare=prepare,
    run=run,
    task=task,
    twin=twin,
    results={TARGET: catalogue().table(TARGET).column_names},
)
