"""mimalloc in place of the C library's allocator, for the processes of the pipeline.

A training step takes and frees some thousand blocks. Those that glibc gives out, by way of
`posix_memalign`, as PyTorch asks for them, wander through memory that is in no cache any more;
mimalloc gives what was freed last. docs/performance.md has the measurements.
"""

import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

_PACKAGE = "cmeel-mimalloc"
# Milliseconds that freed memory is kept; the system clears what it gets back before it gives it out
# again, and by default it gets what was free for a second.
_KEPT_FOR = 3_600_000


def mimalloc_environment(present: Mapping[str, str]) -> dict[str, str]:
    """What to add to the environment `present` of processes that are to allocate by mimalloc.

    Nothing where it is not installed, or where LD_PRELOAD is set already: to another allocator, or
    to nothing by whoever wants the C library's own. A delay that is set stays. The loader of Linux
    alone takes the library, and takes a blank or a colon in a path for its end.
    """
    library = _library()
    if sys.platform != "linux" or library is None or "LD_PRELOAD" in present:
        return {}
    if set(str(library)) & set(" :"):
        return {}
    wanted = {"LD_PRELOAD": str(library), "MIMALLOC_PURGE_DELAY": str(_KEPT_FOR)}
    return {name: value for name, value in wanted.items() if name not in present}


def _library() -> Path | None:
    """mimalloc's shared library, where its package is installed."""
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    places = (Path(file.locate()) for file in files if file.name == "libmimalloc.so")
    return next((place for place in places if place.is_file()), None)
