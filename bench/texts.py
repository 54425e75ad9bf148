"""Text: requests to the administration cross to the open half, their text under the policy of free text.

There is no other program for Chinese text to hold it against, so the twin calls the same analyzer: DuckDB finds the
distinct texts, two processes analyse them, DuckDB joins them back. The ratio is what Spark adds.
"""

import os
import random
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.world import THREADS, Stage, Task, World
from ronghe.contracts import catalogue
from ronghe.contracts.policy import TextPolicy
from ronghe.privacy.text.columns import RememberedTexts
from ronghe.privacy.treatments import desensitise
from ronghe.simulate.request_texts import common_text, compose

ORIGIN, TARGET = "fused.service_request", "safe.service_request"
# Analysing a text costs a thousand times what moving a row costs, so this stage gets fewer.
FEWER = 50
# As in the simulation: so many requests bear one of the common texts, of which there are so many for each request.
_COMMON_SHARE, _COMMON_TEXTS = 0.38, 0.015
_CHUNK = 512


def made_texts(count: int, seed: int = 20261123) -> list[str]:
    """Return texts as the simulation draws them."""
    rng = random.Random(seed)
    common = [common_text(rng).text for _ in range(max(6, round(count * _COMMON_TEXTS)))]
    return [rng.choice(common) if rng.random() < _COMMON_SHARE else compose(rng).text for _ in range(count)]


def prepare(world: World) -> None:
    """Write the fused requests."""
    count = STAGE.records(world.records)
    file = world.home.engine / "texts.parquet"
    pq.write_table(pa.table({"n": pa.array(range(count), pa.int64()), "request_text": made_texts(count)}), file)
    world.put(
        ORIGIN,
        f"""SELECT 'req_' || md5('request' || n) AS request_id, printf('SZ%010d', n) AS request_number,
                   'shenzhen' AS source_code, TIMESTAMPTZ '2026-11-20 02:00:00+00' AS received_at,
                   DATE '2026-11-20' AS received_date, 'phone' AS channel_code, 'housing' AS request_topic_code,
                   '440303' AS division_code, 'received' AS request_status_code, request_text
            FROM read_parquet('{file}')""",
    )


def run(world: World) -> None:
    """Treat the texts and write the safe table, as `jobs/desensitise_fused.py` does."""
    lake, origin, target = world.lake, world.catalogue.table(ORIGIN), world.catalogue.table(TARGET)
    fingerprint = lake.fingerprint(TARGET, None, [ORIGIN], [origin])
    lake.merge(TARGET, desensitise(lake.read(ORIGIN), origin, target, RememberedTexts(lake)), fingerprint)


def task(world: World, out: Path) -> Task:
    """Name the requests and the policy."""
    return Task(world.paths(ORIGIN), out, facts={"policy": world.catalogue.policy("text").model_dump_json()})


def twin(task: Task) -> None:
    """Analyse each distinct text in two processes and put it back."""
    connection = task.database()
    texts = [row[0] for row in connection.execute("SELECT DISTINCT request_text FROM fused_service_request").fetchall()]
    chunks = [texts[first : first + _CHUNK] for first in range(0, len(texts), _CHUNK)]
    # One thread of numpy's in each process, as Spark has it of its workers: more would only wait for each other.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with get_context("spawn").Pool(THREADS) as pool:
        treated = [text for chunk in pool.map(partial(_analyse, task.facts["policy"]), chunks) for text in chunk]
        pool.close()
        pool.join()
    connection.register("treated", pa.table({"request_text": texts, "treated_text": treated}))
    task.write(
        connection,
        TARGET,
        "SELECT r.* REPLACE (treated_text AS request_text) "
        "FROM fused_service_request r JOIN treated USING (request_text)",
    )


def _analyse(policy: str, texts: list[str]) -> list[str | None]:
    from ronghe.privacy.text.desensitiser import desensitise_texts

    return [row.text for row in desensitise_texts(texts, TextPolicy.model_validate_json(policy))]


STAGE = Stage(
    name="text",
    prepare=prepare,
    run=run,
    task=task,
    twin=twin,
    results={TARGET: catalogue().table(TARGET).column_names},
    records=lambda n: max(200, n // FEWER),
)
