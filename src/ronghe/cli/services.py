"""Start and end what the night needs."""

import time

import typer

from ronghe import engine
from ronghe.cli.night import FUSE
from ronghe.engine import POOL, POOL_SLOTS
from ronghe.home import Home
from ronghe.orchestration import service
from ronghe.orchestration.client import Airflow
from ronghe.simulate import serve


def start(home: Home) -> None:
    """Start simulated sources (if any), engine and Airflow, and make the pool every engine task takes a slot of."""
    began, clock = time.monotonic(), time.time()
    if sources := serve.up(home):
        typer.echo(f"sources  http://{serve.HOST}:{sources.port}")
    running = engine.up(home)
    typer.echo(f"engine   localhost:{running.port}")
    airflow = service.up(home)
    with Airflow.connect(home) as client:
        client.ensure_pool(POOL, POOL_SLOTS, "Slots of the one Spark engine")
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


def stop(home: Home) -> None:
    """End Airflow first, so that no task is left without its engine or its source."""
    services = (("airflow", service.down), ("engine", engine.down), ("sources", serve.down))
    ended = [name for name, end in services if end(home)]
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")
