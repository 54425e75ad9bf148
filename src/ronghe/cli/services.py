"""Start and end what the night needs."""

import os
import time
from typing import NoReturn

import typer

from ronghe import cluster, engine, stores
from ronghe.cli.night import FUSE
from ronghe.contracts import ContractError
from ronghe.engine import POOL, POOL_SAID, POOL_SLOTS
from ronghe.home import Home
from ronghe.orchestration import service
from ronghe.orchestration.client import Airflow
from ronghe.orchestration.servers import SERVERS as OF_AIRFLOW
from ronghe.simulate import serve


def start(home: Home) -> None:
    """Start simulated sources (if any), engine and Airflow, and make the pool every engine task takes a slot of."""
    _close_to_others()
    began, clock = time.monotonic(), time.time()
    if sources := serve.up(home):
        typer.echo(f"sources  http://{serve.HOST}:{sources.port}")
    stores.make_buckets(home.lake_root(zone) for zone in ("restricted", "open"))
    running = engine.up(home)
    typer.echo(f"engine   localhost:{running.port}")
    airflow = service.up(home)
    with Airflow.connect(home) as client:
        client.ensure_pool(POOL, POOL_SLOTS, POOL_SAID)
        # A night that was killed may have left the fusion held.
        client.await_dags({FUSE})
        client.release(FUSE)
        lost = client.fail_lost_runs() if airflow.started_at >= clock else []
    if lost:
        typer.echo(f"cut off when the services ended: {', '.join(lost)}; `ronghe run` takes up what is due")
    seconds = time.monotonic() - began
    typer.echo(
        f"airflow  http://localhost:{airflow.port}  user {service.USER}, password {service.password(home)}  "
        f"({seconds:.0f} s)"
    )


def _close_to_others() -> None:
    """Take the rights of others from all that this process and its children will make, and no right of ours."""
    os.umask(os.umask(0o027) | 0o027)


def stop(home: Home) -> None:
    """End Airflow first, so that no task is left without its engine or its source."""
    services = (("airflow", service.down), ("engine", engine.down), ("sources", serve.down))
    ended = [name for name, end in services if end(home)]
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


# `migrate` makes or upgrades what the others need, and ends.
SERVERS = ("engine", "master", "worker", "migrate", *OF_AIRFLOW)


def become(home: Home, what: str) -> NoReturn:
    """Turn this process into a server: the engine, a master or worker of its cluster, or a process of Airflow's.

    Raises:
        EngineError, AirflowError: it cannot be started.
        ContractError: there is no such server.
    """
    _close_to_others()
    if what == "engine":
        engine.become(home)
    if what in ("master", "worker"):
        own = cluster.worker(home, what, cluster.WORKER_PORT) if what == "worker" else cluster.master(home)
        try:
            cluster.become(home, own, engine.spark_program("spark-class"), engine.environment(home))
        except cluster.ClusterError as error:
            raise engine.EngineError(str(error)) from None
    if what == "migrate":
        stores.make_buckets(home.lake_root(zone) for zone in ("restricted", "open"))
        service.migrate(home)
    if what in OF_AIRFLOW:
        service.become(home, what)
    raise ContractError(f"there is no server {what!r}; known are {', '.join(SERVERS)}")
