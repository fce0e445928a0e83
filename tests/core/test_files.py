import errno
import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gluontricks import files
from gluontricks.errors import DiskError, OutputError
from gluontricks.files import make_folder, sha256_bytes, sha256_file, write_atomic

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullStream:
    """A file on a disk that is full after the first bytes."""

    def __init__(self, stream):
        self.stream = stream

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, data):
        self.stream.write(data[:2])
        raise FULL


def full_stream(path, mode):
    return FullStream(open(path, mode))  # noqa: SIM115 (closed by the stream around it)


def refuse(error):
    def call(*_, **__):
        raise error

    return call


def full_disk(monkeypatch, where):
    """Let the disk be full at one point of the protocol."""
    if where == "write":
        monkeypatch.setattr(files, "open", full_stream, raising=False)
    else:
        monkeypatch.setattr(os, where, refuse(FULL))


def test_hashes_are_those_of_the_standard_library(tmp_path):
    content = os.urandom((1 << 20) + 17)
    (tmp_path / "x").write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert sha256_bytes(content) == expected
    assert sha256_file(tmp_path / "x") == expected


@pytest.mark.parametrize("content", [b"", b"\x00\xff", "text \u00e9\n"])
def test_what_is_written_is_there_and_nothing_else(tmp_path, content):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    write_atomic(str(path), content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("where", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, where):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    full_disk(monkeypatch, where)
    with pytest.raises(DiskError, match="the disk is full: .*file' needs 3 bytes") as caught:
        write_atomic(path, b"new")
    assert "free some space" in caught.value.remedy
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
from gluontricks.errors import DiskError
from gluontricks.files import write_atomic
try:
    write_atomic(sys.argv[1], b"x" * 100_000)
except DiskError as error:
    sys.exit(error.code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_a_file_the_system_really_refuses_leaves_the_old_one(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, b"old")
    root = Path(files.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == 74
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_the_file_is_synced_before_the_rename_and_the_folder_after(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def note_sync(handle):
        is_folder = os.path.isdir(f"/proc/self/fd/{handle}")
        calls.append("sync folder" if is_folder else "sync file")
        fsync(handle)

    def note_rename(source, target):
        calls.append("rename")
        assert Path(source).read_bytes() == b"content"
        assert Path(source).parent == Path(target).parent
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_rename)
    write_atomic(tmp_path / "file", b"content")
    assert calls == ["sync file", "rename", "sync folder"]


def test_a_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError, match="No such file or directory"):
        write_atomic(tmp_path / "missing" / "file", b"")


def test_a_folder_in_the_place_of_the_file_is_an_output_error(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_atomic(tmp_path / "file", b"")
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_read_only_place_is_an_output_error(tmp_path, monkeypatch, number):
    # By a patch, since nothing is read-only for root.
    monkeypatch.setattr(files, "open", refuse(OSError(number, os.strerror(number))), raising=False)
    with pytest.raises(OutputError, match=os.strerror(number)) as caught:
        write_atomic(tmp_path / "file", b"")
    assert "--out" in caught.value.remedy


def test_a_broken_disk_is_a_disk_error(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", refuse(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(DiskError, match="Input/output error"):
        write_atomic(tmp_path / "file", b"")


def test_make_folder_makes_parents_and_leaves_no_trace(tmp_path):
    folder = make_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert make_folder(str(folder)) == folder
    assert not os.listdir(folder)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_make_folder_refuses_a_file(tmp_path, below):
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(OutputError, match="cannot be written"):
        make_folder(tmp_path / "file" / below)
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where nobody may write")
def test_make_folder_refuses_a_place_where_nothing_can_be_made():
    with pytest.raises(OutputError):
        make_folder("/proc/self/gluontricks")


def test_make_folder_on_a_full_disk_says_so_however_deep_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", refuse(FULL))
    with pytest.raises(DiskError, match="the disk is full"):
        make_folder(tmp_path / "not" / "there" / "yet")


def test_many_threads_prove_one_folder_at_once(tmp_path) -> None:
    failed = []
    barrier = threading.Barrier(8)

    def prove() -> None:
        barrier.wait()
        for _ in range(50):
            try:
                make_folder(tmp_path / "new")
            except OutputError as error:
                failed.append(error)

    threads = [threading.Thread(target=prove) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list((tmp_path / "new").iterdir()) == []
