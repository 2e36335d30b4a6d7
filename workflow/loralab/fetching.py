"""Getting pinned files: from a mirror folder or URL first, then from each URL in turn.

Nothing is accepted whose SHA-256 is not the pinned one, and nothing appears under its final name
before that was checked.
"""

import logging
import os
import urllib.parse
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from tqdm import tqdm

from loralab.errors import LoralabError
from loralab.provenance import sha256_file

log = logging.getLogger(__name__)

CHUNK = 1 << 20  # bytes read at a time
TIMEOUT = (10, 60)  # seconds to connect, seconds between two reads
LARGEST_MEMBER = 1 << 30  # bytes; a zip member that claims more is refused


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


def fetch(pinned: Pinned, target: Path, mirror: str | None) -> str:
    """Put the pinned file at `target` and return where it came from.

    Raises LoralabError where no source has it; the message lists each source with its reason.
    """
    failures = []
    for source in [*_mirror_places(pinned.name, mirror), *pinned.urls]:
        try:
            _copy(source, target)
            check_sha256(target, pinned.sha256, source)
            return source
        except (LoralabError, requests.RequestException, OSError) as error:
            target.unlink(missing_ok=True)
            failures.append(_reason(source, error))
            log.info("%s", failures[-1])
    raise LoralabError(_nowhere(pinned, failures))


def find_in_mirror(name: str, sha256: str, target: Path, mirror: str | None) -> str | None:
    """Put the mirror's file `name` at `target` if its SHA-256 agrees; where it was, or None."""
    for source in _mirror_places(name, mirror):
        try:
            _copy(source, target)
            check_sha256(target, sha256, source)
            return source
        except (LoralabError, requests.RequestException, OSError) as error:
            target.unlink(missing_ok=True)
            log.info("%s", _reason(source, error))
    return None


def _mirror_places(name: str, mirror: str | None) -> list[str]:
    """The one place a mirror has for a file, or none: mirrors are optional."""
    mirrors = [place for place in (mirror, os.environ.get("LORALAB_MIRROR")) if place]
    return [f"{place.rstrip('/')}/{name}" for place in dict.fromkeys(mirrors)]


def _copy(source: str, target: Path) -> None:
    is_url = source.startswith(("http://", "https://"))
    chunks, size = _download(source) if is_url else _read(Path(source))
    bar = tqdm(total=size, unit="B", unit_scale=True, desc=target.name, disable=None, delay=2)
    with target.open("wb") as file, bar:
        for chunk in chunks:
            file.write(chunk)
            bar.update(len(chunk))


def _download(url: str) -> tuple[Iterator[bytes], int | None]:
    response = requests.get(url, stream=True, timeout=TIMEOUT)
    response.raise_for_status()
    size = response.headers.get("Content-Length")
    return response.iter_content(CHUNK), int(size) if size and size.isdecimal() else None


def _read(path: Path) -> tuple[Iterator[bytes], int | None]:
    file = path.open("rb")
    return iter(lambda: file.read(CHUNK), b""), path.stat().st_size


def check_sha256(path: Path, expected: str, source: str) -> None:
    """Raise LoralabError, naming the source and both hashes, where a file is not the pinned one."""
    found = sha256_file(path)
    if found != expected:
        raise LoralabError(f"{source} has SHA-256 {found}, expected {expected}")


def _reason(source: str, error: Exception) -> str:
    """One line, without the nested representation that connection errors carry."""
    if isinstance(error, LoralabError):
        return str(error)
    if isinstance(error, requests.HTTPError):
        return f"{source} answered {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.RequestException):
        return f"{source} could not be reached ({type(error).__name__})"
    return f"{source}: {error.strerror or error}"


def _nowhere(pinned: Pinned, failures: list[str]) -> str:
    return (
        f"{pinned.wanted_by} needs {pinned.name} with SHA-256 {pinned.sha256}, and no source has "
        f"it: {'; '.join(failures)}. Put that file in a folder and name the folder with "
        "--config mirror=FOLDER (or in $LORALAB_MIRROR)"
    )


def extract_member(archive: Path, member: str, target: Path) -> None:
    """Write one member of a zip archive, found by its exact name, to `target`.

    The member's own path is never used. Raises LoralabError where the archive is damaged, has no
    such member, or claims a size beyond all reason.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            info = _member_info(opened, archive, member)
            with opened.open(info) as source, target.open("wb") as file:
                while chunk := source.read(CHUNK):
                    file.write(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        target.unlink(missing_ok=True)
        raise LoralabError(f"{archive} is not a sound zip archive ({error})") from None


def _member_info(opened: zipfile.ZipFile, archive: Path, member: str) -> zipfile.ZipInfo:
    if member not in opened.namelist():
        raise LoralabError(
            f"{archive} has no member {member!r}; it has {', '.join(opened.namelist()[:10])}"
        )
    info = opened.getinfo(member)
    if info.file_size > LARGEST_MEMBER:
        raise LoralabError(f"{archive}: {member} claims {info.file_size} bytes; refused")
    return info
