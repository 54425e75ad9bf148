"""The executor: what a task's process has before its first line runs."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.dags

# A worker that tells what it was forked with, and that the libraries work in a fork.
SCRIPT = """
import json, os, sys
from airflow.executors import local_executor
from ronghe_airflow.executor import PRELOADED, LocalExecutor

def tell(output, **_):
    held = sorted(sys.modules)
    import numpy, pyarrow.compute
    product = float((numpy.ones((400, 400)) @ numpy.ones((400, 400))).sum())
    output.put((os.getppid(), held, product, pyarrow.compute.sum(pyarrow.array(range(1000))).as_py()))

local_executor._run_worker = tell
executor = LocalExecutor(parallelism=2)
executor.start()
print(json.dumps([os.getpid(), PRELOADED, [executor.result_queue.get() for _ in range(2)]]))
"""


def test_workers_are_forked_with_the_libraries_and_without_our_own_code() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    pid, preloaded, workers = json.loads(done.stdout.splitlines()[-1])
    for parent, held, product, total in workers:
        assert parent == pid
        assert set(preloaded) <= set(held)
        assert [name for name in held if name.partition(".")[0] in {"ronghe", "jobs", "dags"}] == []
        assert (product, total) == (400.0**3, 499_500)
