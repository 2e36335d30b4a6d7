"""Getting pinned files: from a mirror folder or URL first, then from each URL in turn.

Nothing is accepted whose SHA-256 is not the pinned one, and nothing appears under its final name
before that was checked.
"""

import logging
import os
import shutil
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from loralab.errors import LoralabError
from loralab.fetching.downloads import download
from loralab.provenance import sha256_file

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pinned:
    """A file known by its SHA-256, and where it may be found."""

    urls: tuple[str, ...]
    sha256: str
    wanted_by: str  # the setting that asks for it, for messages

    @property
    def name(self) -> str:
        """The file name that mirrors know it by: the last part of the first URL."""
        return urllib.parse.unquote(urllib.parse.urlsplit(self.urls[0]).path.rpartition("/")[2])


def fetch(pinned: Pinned, target: Path, mirror: str | None, parts: Path) -> str:
    """Put the pinned file at `target` and return where it came from.

    `parts` is a folder that outlives an interruption: a download goes on from what is there.
    Raises LoralabError where no source has the file; the message lists each with its reason.
    """
    failures = []
    for source in [*_mirror_places(pinned.name, mirror), *pinned.urls]:
        try:
            _bring(source, pinned.sha256, target, parts)
            return source
        except LoralabError as error:
            failures.append(str(error))
            log.info("%s", error)
    raise LoralabError(
        f"{pinned.wanted_by} needs {pinned.name} with SHA-256 {pinned.sha256}, and no source has "
        f"it: {'; '.join(failures)}. Put that file in a folder and name the folder with "
        "--config mirror=FOLDER (or in $LORALAB_MIRROR)"
    )


def find_in_mirror(
    name: str, sha256: str, target: Path, mirror: str | None, parts: Path
) -> str | None:
    """Put the mirror's file `name` at `target` if its SHA-256 agrees; where it was, or None."""
    for source in _mirror_places(name, mirror):
        try:
            _bring(source, sha256, target, parts)
            return source
        except LoralabError as error:
            log.info("%s", error)
    return None


def _mirror_places(name: str, mirror: str | None) -> list[str]:
    """The one place a mirror has for a file, or none: mirrors are optional."""
    mirrors = [place for place in (mirror, os.environ.get("LORALAB_MIRROR")) if place]
    return [f"{place.rstrip('/')}/{name}" for place in dict.fromkeys(mirrors)]


def _bring(source: str, sha256: str, target: Path, parts: Path) -> None:
    """Put the file at `source` in place, if it is the one with this SHA-256."""
    if source.startswith(("http://", "https://")):
        _download_checked(source, sha256, parts)
        shutil.move(_part(parts, sha256), target)
        return
    try:
        Path(source).open("rb").close()
    except OSError as error:
        raise LoralabError(f"{source}: {error.strerror}") from None
    shutil.copyfile(source, target)
    try:
        check_sha256(target, sha256, source)
    except LoralabError:
        target.unlink()
        raise


def _part(parts: Path, sha256: str) -> Path:
    """What has arrived of a file, from whichever source: its hash says what it will be."""
    return parts / f"{sha256}.part"


def _download_checked(url: str, sha256: str, parts: Path) -> None:
    parts.mkdir(parents=True, exist_ok=True)
    part = _part(parts, sha256)
    if part.is_file() and sha256_file(part) == sha256:
        return
    joined = download(url, part)
    try:
        check_sha256(part, sha256, url)
    except LoralabError as error:
        page = _is_web_page(part)
        part.unlink()
        if not joined:
            hint = "; it is a web page, not the file" if page else ""
            raise LoralabError(f"{error}{hint}") from None
        _download_checked(url, sha256, parts)  # two halves need not make a whole


def _is_web_page(path: Path) -> bool:
    """Whether a server sent a page, as those of a login or an error, under the file's name."""
    with path.open("rb") as file:
        start = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))


def check_sha256(path: Path, expected: str, source: str) -> None:
    """Raise LoralabError, naming the source and both hashes, where a file is not the pinned one."""
    found = sha256_file(path)
    if found != expected:
        raise LoralabError(
            f"{source} has {path.stat().st_size} bytes with SHA-256 {found}, expected {expected}"
        )
