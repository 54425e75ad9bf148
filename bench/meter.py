"""What a piece of work costs: wall time, CPU time and peak memory of every process that takes part."""

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import psutil

_SAMPLE_SECONDS = 0.5
_MEGABYTE = 1 << 20


@dataclass
class Cost:
    """Seconds by the clock, seconds of CPU (user and system), and the peak of resident memory in MiB.

    Memory is the sum over processes; pages that forked Python workers share are counted for each of them.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0


@contextmanager
def measured(leader: int | None) -> Iterator[Cost]:
    """Measure a block of work done by this process, its children, and another process with its children.

    Args:
        leader: the engine's process; none where the engine is a child of this process.
    """
    cost, done = Cost(), threading.Event()
    sampler = threading.Thread(target=_sample, args=(leader, cost, done), daemon=True)
    cpu, began = _cpu(leader), time.perf_counter()
    sampler.start()
    try:
        yield cost
    finally:
        cost.seconds = time.perf_counter() - began
        cost.cpu_seconds = _cpu(leader) - cpu
        done.set()
        sampler.join()


def apart(work: Callable[..., None], *arguments: Any) -> Cost:
    """Run a function of a module in a process of its own and return what it cost there, imports left out."""
    # Not multiprocessing's own pool: its processes may have no children, and a twin may need some.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_alone, work, arguments).result()


def _alone(work: Callable[..., None], arguments: tuple[Any, ...]) -> Cost:
    cpu, began = sum(os.times()[:4]), time.perf_counter()
    work(*arguments)
    # Of children that were waited for too.
    seconds, used = time.perf_counter() - began, sum(os.times()[:4]) - cpu
    # Linux tells kibibytes.
    return Cost(seconds, used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _processes(leader: int | None) -> list[psutil.Process]:
    found = []
    for pid in {os.getpid(), leader} - {None}:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


def _cpu(leader: int | None) -> float:
    """Return the CPU seconds of all processes, those that ended included: their parents keep them."""
    total = 0.0
    for process in _processes(leader):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += sum(process.cpu_times()[:4])
    return total


def _sample(leader: int | None, cost: Cost, done: threading.Event) -> None:
    while True:
        size = 0
        for process in _processes(leader):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                size += process.memory_info().rss
        cost.peak_mib = max(cost.peak_mib, size / _MEGABYTE)
        if done.wait(_SAMPLE_SECONDS):
            return
