"""Token keys: one file each, for the owner only, the same for everybody who asks."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ronghe.privacy.keys import KeyStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "service" / "keys"


def test_key_is_256_bits_of_its_own(folder: Path) -> None:
    keys = KeyStore(folder).ensure(["day_2026-11-01", "day_2026-11-02", "purpose_a"])
    assert {len(key) for key in keys.values()} == {32}
    assert len(set(keys.values())) == 3


def test_key_is_the_same_when_asked_again(folder: Path) -> None:
    first = KeyStore(folder).ensure(["day_2026-11-01"])
    assert KeyStore(folder).ensure(["day_2026-11-01", "day_2026-11-01"]) == first


def test_key_is_another_when_its_file_is_gone(folder: Path) -> None:
    first = KeyStore(folder).ensure(["day_2026-11-01"])
    (folder / "day_2026-11-01.key").unlink()
    assert KeyStore(folder).ensure(["day_2026-11-01"]) != first


def test_files_are_for_the_owner_only(folder: Path) -> None:
    KeyStore(folder).ensure(["a", "b"])
    assert sorted(path.name for path in folder.iterdir()) == ["a.key", "b.key"], "a partial file was left"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("key_id", ["", "../outside", "a/b", "a b", "钥匙", "a\n", "a\0"])
def test_id_is_refused_when_it_is_no_file_name(key_id: str, folder: Path) -> None:
    with pytest.raises(ValueError, match="is no key id"):
        KeyStore(folder).ensure([key_id])
    assert not folder.exists()


def test_processes_get_one_key_when_they_ask_at_the_same_time(folder: Path) -> None:
    code = """
import pathlib, sys
from ronghe.privacy.keys import KeyStore
folder = pathlib.Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(*(key.hex() for key in KeyStore(folder).ensure(f"k{n:03}" for n in range(200)).values()))
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    askers = [subprocess.Popen([sys.executable, "-c", code, str(folder)], **pipes) for _ in range(3)]
    for asker in askers:
        assert asker.stdout.readline() == "ready\n"
    for asker in askers:
        asker.stdin.write("go\n")
        asker.stdin.flush()
    answers = [asker.communicate(timeout=60)[0] for asker in askers]
    assert len(answers[0].split()) == 200
    assert len(set(answers)) == 1


def test_a_destroyed_key_is_gone_and_was_overwritten(folder: Path, tmp_path: Path) -> None:
    keys = KeyStore(folder)
    before = keys.ensure(["day_2026-11-01", "day_2026-11-02"])
    kept = tmp_path / "another name of the same bytes"
    kept.hardlink_to(folder / "day_2026-11-01.key")
    for _ in range(2):
        keys.destroy(["day_2026-11-01"])
    assert keys.ids() == {"day_2026-11-02"}
    assert kept.read_bytes() != before["day_2026-11-01"]
    assert keys.ensure(["day_2026-11-02"])["day_2026-11-02"] == before["day_2026-11-02"]


def test_no_key_outside_the_folder_is_destroyed(folder: Path) -> None:
    with pytest.raises(ValueError, match="is no key id"):
        KeyStore(folder).destroy(["../day_2026-11-01"])
    assert KeyStore(folder / "missing").ids() == frozenset()
