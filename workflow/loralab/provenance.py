"""What a result was made of: fingerprints, manifests, and outputs that appear whole or not at all.

A stage's fingerprint is canonical JSON of three things: a hash of the code that it can reach inside
this package, the settings that it reads, and the versions of the packages that this code imports.
Snakemake compares it as one parameter, so that exactly what is stale reruns. Comments, docstrings
and formatting do not enter the hash.
"""

import ast
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from loralab.errors import LoralabError, raise_all
from loralab.interrupts import deferred_interrupts

log = logging.getLogger(__name__)

PACKAGE = "loralab"
PACKAGE_FOLDER = Path(__file__).parent
MANIFEST = "manifest.json"
# Packages that check or display and never compute a result: their version makes nothing stale.
_NEUTRAL_PACKAGES = {"jsonschema", "PyYAML", "tqdm"}


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_json(path: Path, value: object) -> None:
    """Write readable JSON. Raises ValueError where a number is NaN or infinite."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> dict:
    """Read a JSON file. Raises LoralabError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LoralabError(f"{path}: {error.strerror}; run the stage that writes it") from None
    except (ValueError, RecursionError) as error:
        raise LoralabError(f"{path} is not JSON ({error}); delete it and run again") from None


def write_manifest(path: Path, content: dict) -> None:
    """Write a manifest with a hash of its own, by which an edit of it shows."""
    write_json(path, content | {"sha256": manifest_sha256(content)})


def manifest_sha256(content: dict) -> str:
    """SHA-256 of what a manifest holds beside its hash."""
    return sha256_text(canonical_json({k: v for k, v in content.items() if k != "sha256"}))


def sha256_text(text: str) -> str:
    """SHA-256 of a text's UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- fingerprints ---------------------------------------------------------------------------------


def fingerprint(module: str, settings: dict, threads: int | None) -> dict:
    """What decides the outputs of the stage in `module` (a dotted name) run with `settings`.

    The number of threads is part of it where torch computes: sums over other parts of a tensor
    round otherwise.
    """
    closure = import_closure(module)
    packages = package_versions(closure)
    made_of = {
        "code": _code_hash(closure),
        "packages": packages,
        "settings": settings,
        "stage": module.rpartition(".")[2],
    }
    return made_of | ({"threads": threads} if "torch" in packages else {})


@cache
def import_closure(module: str) -> tuple[str, ...]:
    """`module` and every module of this package that it can import, sorted.

    Imports are found by reading the syntax tree, inside functions too. Importing a package's
    submodule runs the package's `__init__.py`; these are kept empty, so they are left out.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [imported for imported in _imports(name) if _is_own_module(imported)]
    return tuple(sorted(found))


@cache
def _syntax_tree(module: str) -> ast.Module:
    return ast.parse(_module_file(module).read_bytes())


def _module_file(module: str) -> Path:
    return PACKAGE_FOLDER.joinpath(*module.split(".")[1:]).with_suffix(".py")


def _is_own_module(name: str) -> bool:
    return name.startswith(PACKAGE + ".") and _module_file(name).is_file()


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Every dotted name that `module` imports; `from a import b` counts as `a` and as `a.b`."""
    names: set[str] = set()
    for node in ast.walk(_syntax_tree(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise LoralabError(f"{module} line {node.lineno}: write the import out in full")
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(sorted(names))


def _code_hash(closure: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for module in closure:
        digest.update(module.encode() + b"\0" + _normalised_code(module).encode() + b"\0")
    for path in _data_files(closure):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def _normalised_code(module: str) -> str:
    """The module's syntax tree as text, without docstrings, comments and positions."""
    tree = ast.parse(_module_file(module).read_bytes())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _data_files(closure: tuple[str, ...]) -> list[Path]:
    """Files that are no Python, lie beside a module and are named by it (a template, say)."""
    return sorted(path for module in closure for path in _named_beside(module))


@cache
def _named_beside(module: str) -> tuple[Path, ...]:
    texts = {n.value for n in ast.walk(_syntax_tree(module)) if isinstance(n, ast.Constant)}
    folder = _module_file(module).parent
    files = [path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"]
    return tuple(path for path in files if path.name in texts)


def package_versions(closure: tuple[str, ...]) -> dict[str, str]:
    """Installed version of every third-party package that the modules import, by its name."""
    roots = {name.partition(".")[0] for module in closure for name in _imports(module)}
    foreign = roots - {PACKAGE} - set(sys.stdlib_module_names)
    distributions = _distributions()
    names = {distributions[root][0] for root in foreign if root in distributions}
    return {name: importlib.metadata.version(name) for name in sorted(names - _NEUTRAL_PACKAGES)}


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def check_loaded_modules(module: str) -> None:
    """Raise where a module of this package was loaded that the fingerprint does not cover."""
    loaded = {name for name in sys.modules if _is_own_module(name)}
    missed = sorted(loaded - set(import_closure(module)))
    if missed:
        raise LoralabError(
            f"{module} loaded {', '.join(missed)}, which its imports do not show: its results "
            "would not rerun when that code changes; import it by a plain import statement"
        )


# --- outputs and manifests ------------------------------------------------------------------------


@contextmanager
def whole_or_nothing(folder: Path) -> Iterator[Path]:
    """A folder to write in, whose files move into `folder` only if the block ends well.

    The manifest moves last, and the one before is removed first: wherever this is interrupted,
    outputs without a manifest that agrees show it. Files of an earlier manifest that are not
    written again are removed. Raises LoralabError where another process is at it already, such as
    one that outlived the Snakemake that had started it.
    """
    workshop = folder / ".partial"  # on the same disk, wherever a link or a mount leads
    with _alone_in(workshop, f"another process is making {folder} already; wait, or stop it"):
        try:
            for left in workshop.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            earlier = _earlier_outputs(folder)
            yield workshop
            with deferred_interrupts():
                _publish(workshop, folder, earlier)
        finally:
            shutil.rmtree(workshop, ignore_errors=True)
            with suppress(OSError):
                folder.rmdir()  # where it is empty


@contextmanager
def _alone_in(folder: Path, otherwise: str) -> Iterator[None]:
    """Hold a lock on a folder, made where it is missing; it ends with the process, however.

    It keeps out processes of the same machine; where the file system has no locks, none.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # removed by whoever held it, so that it is made again
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                _lock(descriptor, otherwise)
                if os.path.samestat(folder.stat(), os.fstat(descriptor)):
                    break
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, otherwise: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LoralabError(otherwise) from None
    except OSError as error:
        log.warning("no lock, as the file system has none (%s): let one process run", error)


def _publish(workshop: Path, folder: Path, earlier: list[Path]) -> None:
    written = sorted(path.relative_to(workshop) for path in workshop.rglob("*") if path.is_file())
    written.sort(key=lambda relative: relative.name == MANIFEST)
    for path in (folder / MANIFEST, *earlier):
        path.unlink(missing_ok=True)
    for relative in written:
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(workshop / relative, target)


def _earlier_outputs(folder: Path) -> list[Path]:
    """The files in `folder` that the manifest there names; none where it cannot be read."""
    try:
        names = list(read_json(folder / MANIFEST)["outputs"])
        paths = [folder / name for name in names]
    except (LoralabError, KeyError, TypeError):
        return []
    return [p for p in paths if p.is_file() and p.resolve().is_relative_to(folder.resolve())]


def check_inputs(manifest: Path, files: list[Path]) -> None:
    """Raise LoralabError where a file is not the one that the stage of `manifest` read.

    What is shared by experiments may since have been made anew for another.
    """
    recorded = read_json(manifest).get("inputs", {})
    problems = []
    for path in files:
        name = Path(os.path.relpath(path, manifest.parent)).as_posix()
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif recorded.get(name, {}).get("sha256") != sha256_file(path):
            problems.append(f"{path} is not the file that the run was evaluated with")
    raise_all(problems, f"{manifest.parent} no longer fits its inputs; run the pipeline again")


def hash_files(paths: Iterable[Path], relative_to: Path) -> dict[str, dict]:
    """SHA-256 and size of each file, by its path below `relative_to`.

    A file that is named from the root, beside a folder that is not, keeps its name: it stays
    where it is when the project moves.
    """
    return {
        _name_from(relative_to, path): {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(paths)
    }


def _name_from(folder: Path, path: Path) -> str:
    stays = path.is_absolute() and not folder.is_absolute()
    return (path if stays else Path(os.path.relpath(path, folder))).as_posix()
