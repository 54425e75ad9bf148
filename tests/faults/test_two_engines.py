"""Two JVMs that write one table of a local file system: the lease lets one of them in; without it commits are lost."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1500)]

COMMITS = 50
# A writer in a JVM of its own: it says that it is ready, waits for the other, then appends one row a commit.
WRITER = """
import contextlib, sys, time
from pathlib import Path
from ronghe import engine, sessions
from ronghe.home import Home
{guard}
name, other, root, commits = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
with sessions.in_process(Home(root)) as spark:
    table = str(root / "restricted" / "lake" / "meta" / "counted")
    row = spark.range(1).selectExpr(f"'{{name}}' AS writer").coalesce(1)
    if name == "one":
        row.limit(0).write.format("delta").save(table)
    (root / name).touch()
    while not (root / other).exists():
        time.sleep(0.01)
    done = 0
    for _ in range(commits):
        try:
            row.write.format("delta").mode("append").save(table)
            done += 1
        except Exception as error:  # what fails is told, and expected by nobody
            print(str(error)[:2000], file=sys.stderr)
    print(f"appended {{done}}")
"""
NO_LEASE = "engine.lease = lambda home: contextlib.nullcontext()"
# Between the look whether a version exists and the rename onto it lies a moment. Both writers are held in it, at their
# first version, until the other is there too: each has seen that nobody has written it.
HELD_RENAME = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static void await_other(void) {
    struct stat there = {0};
    int meeting = open(getenv("MEETING"), O_APPEND | O_WRONLY);
    if (meeting < 0 || write(meeting, ".", 1) != 1) abort();
    for (int tries = 0; tries < 12000 && there.st_size < 2; tries++) {
        usleep(10000);
        fstat(meeting, &there);
    }
    close(meeting);
}
int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    if (strstr(to, "_delta_log/00000000000000000001.json")) await_other();
    return real(from, to);
}
"""


def begin(root: Path, name: str, other: str, guard_off: str = "", **variables: str) -> "subprocess.Popen[str]":
    """Start a writer that waits for the file `other` before it writes."""
    script = WRITER.format(guard=guard_off)
    return subprocess.Popen(
        [sys.executable, "-c", script, name, other, str(root), str(COMMITS)],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def await_ready(root: Path, writer: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 180
    while not (root / writer.args[3]).exists():  # type: ignore[index]
        assert writer.poll() is None, writer.communicate()[1][-2000:]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def end(*writers: "subprocess.Popen[str]") -> tuple[int, bool]:
    """Wait for writers; return how many of their appends they say have succeeded, and whether one met a broken log."""
    appended, broken = 0, False
    for writer in writers:
        out, said = writer.communicate(timeout=1200)
        assert writer.returncode == 0, said[-2000:]
        appended += int(out.rpartition("appended ")[2])
        broken |= "_delta_log/" in said and "Checksum error" in said
    return appended, broken


def counted(root: Path) -> tuple[int, int]:
    """Return the rows of the table and the commits in its log, but for the one that made it."""
    table = DeltaTable(root / "restricted" / "lake" / "meta" / "counted")
    return int(table.count()), int(table.version())


def test_the_second_engine_is_refused_and_no_commit_is_lost(tmp_path: Path) -> None:
    first = begin(tmp_path, "one", "go")
    await_ready(tmp_path, first)
    second = begin(tmp_path, "two", "go")
    _, said = second.communicate(timeout=180)
    assert second.returncode != 0
    assert "Another engine writes the lake" in said
    (tmp_path / "go").touch()
    assert [end(first), end(begin(tmp_path, "two", "go"))] == [(COMMITS, False)] * 2
    assert counted(tmp_path) == (2 * COMMITS, 2 * COMMITS)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to hold the writers with")
def test_without_the_lease_commits_are_lost(tmp_path: Path) -> None:
    """A second rename takes the place of the first's version: rows are gone whose append said that it succeeded, or the
    first's checksum stays beside the second's version, and neither engine can read the log any more.
    """
    (tmp_path / "held.c").write_text(HELD_RENAME)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "held.so", "held.c", "-ldl"], cwd=tmp_path, check=True, timeout=60)
    meeting = tmp_path / "meeting"
    meeting.touch()
    held = {"LD_PRELOAD": str(tmp_path / "held.so"), "MEETING": str(meeting)}
    first = begin(tmp_path, "one", "two", NO_LEASE, **held)
    await_ready(tmp_path, first)
    appended, broken = end(first, begin(tmp_path, "two", "one", NO_LEASE, **held))
    rows, _ = counted(tmp_path)
    assert meeting.read_text("utf-8") == "..", "the writers did not meet: the fault did not fire"
    assert rows < appended or broken
