"""A short life under the nemesis ends with nothing lost and nothing doubled; with a guard off it does not."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from tests.faults.nemesis import KINDS, plan

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]


def live(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.faults.nemesis", *arguments]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=1400)


def test_same_seed_chooses_the_same_faults() -> None:
    first, again, other = (list(islice(plan(seed), 300)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {fault.kind for fault in first} == set(KINDS)


def test_nothing_is_lost_or_doubled_in_a_minute_of_faults() -> None:
    done = live("--seed", "1", "--minutes", "0.8")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "seed 1: 0 faults found" in done.stdout
    assert done.stdout.count("! ") >= 3, "hardly a fault fired"


def test_with_effects_that_happen_every_time_the_same_minute_goes_red() -> None:
    done = live("--seed", "1", "--minutes", "0.8", "--without", "once")
    assert done.returncode == 1, done.stdout + done.stderr[-2000:]
    assert "FAULT twice: std." in done.stdout
    assert "FAULT content: std." in done.stdout
