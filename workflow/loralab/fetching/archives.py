"""One member of a zip archive, found by its exact name."""

import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from loralab.errors import LoralabError

CHUNK = 1 << 20  # bytes read at a time
LARGEST_MEMBER = 1 << 30  # bytes
LARGEST_RATIO = 200  # times that a member may be larger than its compressed form
# What Python raises, beside OSError for some offsets and streams, where an archive is not sound.
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),
)


def extract_member(archive: Path, member: str, target: Path) -> None:
    """Write one member of a zip archive to `target`.

    The member's own path is never used, and no more is written than it claims. Raises LoralabError
    where the archive is damaged, has no such member, or claims a size or a ratio beyond all reason.
    """
    with target.open("wb") as file:
        try:
            for chunk in _read_member(archive, member):
                file.write(chunk)
        except BaseException:
            target.unlink()
            raise


def _read_member(archive: Path, member: str) -> Iterator[bytes]:
    """The member's content, in pieces; whatever is wrong with the archive is one LoralabError."""
    with archive.open("rb") as raw:
        try:
            with zipfile.ZipFile(raw) as opened:
                info = _member_info(opened, archive, member)
                with opened.open(info) as source:
                    yield from iter(lambda: source.read(CHUNK), b"")
        except DAMAGE as error:
            raise LoralabError(f"{archive} is not a sound zip archive ({error})") from None


def _member_info(opened: zipfile.ZipFile, archive: Path, member: str) -> zipfile.ZipInfo:
    if member not in opened.namelist():
        raise LoralabError(
            f"{archive} has no member {member!r}; it has {', '.join(opened.namelist()[:10])}"
        )
    info = opened.getinfo(member)
    if info.file_size > LARGEST_MEMBER:
        raise LoralabError(f"{archive}: {member} claims {info.file_size} bytes; refused")
    if info.file_size > LARGEST_RATIO * max(info.compress_size, 1):
        raise LoralabError(
            f"{archive}: {member} claims {info.file_size} bytes out of {info.compress_size}; "
            "refused, as no text compresses so well"
        )
    return info
