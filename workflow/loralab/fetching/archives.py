"""One member of a zip archive, found by its exact name."""

import zipfile
import zlib
from pathlib import Path

from loralab.errors import LoralabError

CHUNK = 1 << 20  # bytes read at a time
LARGEST_MEMBER = 1 << 30  # bytes
LARGEST_RATIO = 200  # times that a member may be larger than its compressed form


def extract_member(archive: Path, member: str, target: Path) -> None:
    """Write one member of a zip archive to `target`.

    The member's own path is never used, and no more is written than it claims. Raises LoralabError
    where the archive is damaged, has no such member, or claims a size or a ratio beyond all reason.
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
    if info.file_size > LARGEST_RATIO * max(info.compress_size, 1):
        raise LoralabError(
            f"{archive}: {member} claims {info.file_size} bytes out of {info.compress_size}; "
            "refused, as no text compresses so well"
        )
    return info
