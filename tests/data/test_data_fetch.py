from __future__ import annotations

import dataclasses
import gc
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cifar_files import write_archive

from gluontricks.data import fetch as fetching
from gluontricks.data import load_split, locations
from gluontricks.errors import DataError, DownloadError, OutputError, UsageError

# requests leaves the socket of a refused answer to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

ARCHIVE = "cifar-100-binary.tar.gz"


@pytest.fixture(autouse=True)
def collect_sockets():
    """Have those sockets collected here, where the warning is expected, not in a later test."""
    yield
    gc.collect()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        self.server.requests += 1
        mode = self.server.modes.pop(0) if len(self.server.modes) > 1 else self.server.modes[0]
        if mode == "hang":
            self.server.release.wait(5)
            return
        body = b"<html>sorry</html>" if mode == "page" else self.server.content
        self.send_response(404 if mode == "missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if mode == "truncated" else body)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def server(tmp_path, small, monkeypatch):  # noqa: ARG001
    """A server of a small CIFAR-100, whose answers ``modes`` decides."""
    folder = tmp_path / "served"
    folder.mkdir()
    content = write_archive(folder, "cifar100").read_bytes()
    md5 = hashlib.md5(content).hexdigest()
    layouts = list(locations.LAYOUTS["cifar100"])
    layouts[0] = dataclasses.replace(layouts[0], md5=md5)
    monkeypatch.setitem(locations.LAYOUTS, "cifar100", tuple(layouts))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    served.content, served.modes, served.requests = content, ["good"], 0
    served.release = threading.Event()
    served.source = f"http://127.0.0.1:{served.server_address[1]}/"
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    served.release.set()
    served.shutdown()
    thread.join()
    served.server_close()


def fetch(server, folder, retries=0):
    return fetching.fetch(
        "cifar100-coarse", folder, source=server.source, retries=retries, timeout=0.5
    )


def test_a_fetched_archive_can_be_read_and_is_not_fetched_again(server, tmp_path):
    path = fetch(server, tmp_path / "data")
    assert path == tmp_path / "data" / ARCHIVE
    assert len(load_split("cifar100", "test", data_dir=tmp_path / "data")) == 100
    assert fetch(server, tmp_path / "data") == path
    assert server.requests == 1


@pytest.mark.parametrize("mode", ["missing", "page", "truncated", "hang"])
def test_a_failed_download_leaves_nothing_and_says_what_to_do(server, tmp_path, mode):
    server.modes = [mode]
    with pytest.raises(DownloadError) as caught:
        fetch(server, tmp_path / "data")
    assert caught.value.code == 69
    assert server.source + ARCHIVE in caught.value.cause
    assert "\n" not in str(caught.value)
    assert locations.LAYOUTS["cifar100"][0].md5 in caught.value.remedy
    assert str(tmp_path / "data" / ARCHIVE) in caught.value.remedy
    assert list((tmp_path / "data").iterdir()) == []


def test_a_failure_is_tried_again(server, tmp_path):
    server.modes = ["truncated", "good"]
    assert fetch(server, tmp_path / "data", retries=1).is_file()
    assert server.requests == 2


def test_a_file_that_is_not_the_official_one_is_replaced_or_removed(server, tmp_path):
    (tmp_path / ARCHIVE).write_bytes(b"not it")
    server.modes = ["missing"]
    with pytest.raises(DownloadError):
        fetch(server, tmp_path)
    assert not (tmp_path / ARCHIVE).exists()
    (tmp_path / ARCHIVE).write_bytes(b"not it")
    server.modes = ["good"]
    assert fetch(server, tmp_path).read_bytes() == server.content


def test_a_server_that_is_not_there_is_a_failed_download(tmp_path):
    with pytest.raises(DownloadError, match="could not be downloaded"):
        fetching.fetch("cifar10", tmp_path, source="http://127.0.0.1:9/", retries=0, timeout=0.5)


def test_an_unusable_folder_and_embedded_or_unknown_data_are_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="--data-dir"):
        fetching.fetch("cifar10", tmp_path / "file")
    with pytest.raises(UsageError, match="no download"):
        fetching.fetch("digits", tmp_path)
    with pytest.raises(UsageError, match="cannot be downloaded") as caught:
        fetching.fetch("imagenet", tmp_path)
    assert "gluontricks data prepare imagenet" in caught.value.remedy
    with pytest.raises(UsageError, match="did you mean 'cifar10'"):
        fetching.fetch("cifar-10", tmp_path)


def test_official_addresses_and_checksums_are_those_published():
    assert fetching.SOURCE == "https://www.cs.toronto.edu/~kriz/"
    published = {
        "cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530",
        "cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a",
        "cifar-100-binary.tar.gz": "03b5dce01913d631647c71ecec9e9cb8",
        "cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85",
    }
    layouts = [layout for family in locations.LAYOUTS.values() for layout in family]
    assert {layout.archive: layout.md5 for layout in layouts} == published


@pytest.mark.usefixtures("small")
def test_the_listing_says_where_data_lie_and_verify_reads_them(tmp_path):
    path = write_archive(tmp_path, "cifar100")
    listed = {row["name"]: row for row in fetching.listing(tmp_path)}
    assert listed["cifar100-coarse"]["found"] == str(path)
    assert listed["cifar100-coarse"]["classes"] == 20
    assert listed["cifar10"]["found"] is None
    assert listed["digits"]["found"] == "embedded"
    assert listed["imagenette"]["found"] is None
    for part in ("train", "val"):
        (tmp_path / "imagenette2-160" / part).mkdir(parents=True)
    listed = {row["name"]: row for row in fetching.listing(tmp_path)}
    assert listed["imagenette"]["found"] == str(tmp_path / "imagenette2-160")
    assert listed["imagenet"]["found"] is None
    report = fetching.verify("cifar100", tmp_path)
    assert report["classes"] == 100
    assert report["train"]["images"] == 200
    assert list(report["test"]["files"]) == ["test.bin"]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="damaged"):
        fetching.verify("cifar100", tmp_path)
