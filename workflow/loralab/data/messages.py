"""Reading labelled messages: TSV, CSV or JSONL, checked row by row.

A message is a row of a table with the columns `id` (0-based line of the source file on which it
begins), `label` and `text`.
"""

import csv
import io
import json
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

import pandas as pd

from loralab.errors import LoralabError, raise_all

csv.field_size_limit(2**31 - 1)  # characters; Python's own limit would refuse a long text

ROWS_AT_A_TIME = 2_000
ADVICE = "set data.encoding to the file's own (cp1252, latin-1, utf-16 …)"

Fault = tuple[int, str]  # the 0-based line of a file, and what is wrong with it


@dataclass(frozen=True)
class MessageFormat:
    """How a file of messages is written. `columns` is None where its first row names them."""

    format: str
    columns: list[str] | None
    label_column: str
    text_column: str
    labels: list[str]
    encoding: str
    parser: str


@dataclass(frozen=True)
class _Row:
    """A record of the file: the 0-based line on which it begins, and its fields or its fault."""

    line: int
    fields: list[str]
    fault: str | None = None


def read_messages(path: Path, layout: MessageFormat) -> pd.DataFrame:
    """Read every message of a file into the columns `id,label,text`; as `message_tables`."""
    return pd.concat(message_tables(path, layout), ignore_index=True)


def message_tables(path: Path, layout: MessageFormat) -> Iterator[pd.DataFrame]:
    """The messages of a file as tables of some thousands, with the columns `id,label,text`.

    With the parser `strict` nothing is dropped and nothing is guessed. The parser `lab` reads as
    the lab did, the file as a whole and with pandas' default quoting: a message that begins with an
    unbalanced quote swallows the lines after it.

    Raises LoralabError, once all has been read, listing every problem with its (1-based) line: rows
    with too few or too many fields, empty texts, labels that are not among those declared; and
    where no message has one of those. Raises it at once where bytes cannot be decoded.
    """
    read = _read_as_the_lab if layout.parser == "lab" else _read_strictly
    problems: list[Fault] = []
    found: set[str] = set()
    for table, faults in read(path, layout):
        problems += faults + _row_problems(table, layout.labels)
        found |= set(table["label"])
        yield table
    raise_all([f"line {line + 1} {what}" for line, what in sorted(problems)], str(path))
    absent = [label for label in layout.labels if label not in found]
    raise_all([f"no message has the label {label!r}" for label in absent], str(path))


def read_csv_column(path: Path, column: str) -> list[str]:
    """One column of a CSV file in UTF-8 with a header row, a text for every row.

    Raises LoralabError that names the columns where there is no such one, and the line of each row
    that has more or fewer fields than the header.
    """
    rows = list(_csv_rows(_lines(path, "utf-8", "convert it to UTF-8", newline="")))
    for first in rows[:1]:
        _check_header(first, path)
    header = rows[0].fields if rows else []
    if header.count(column) != 1:
        has = ", ".join(header) or "none"
        raise LoralabError(f"{path} has no one column {column!r}; its columns are: {has}")
    faults = [(row.line, _fault(row, len(header))) for row in rows[1:]]
    raise_all([f"line {line + 1} {fault}" for line, fault in faults if fault], str(path))
    return [row.fields[header.index(column)] for row in rows[1:]]


def read_table(path: Path) -> pd.DataFrame:
    """Read a CSV of the project's own, texts as they are (an `NA` stays the text NA).

    Raises LoralabError where it is missing, damaged, or no table of messages.
    """
    return read_rows(path, ["id", "label", "text"], {"label": str, "text": str})


def read_table_in_chunks(path: Path) -> Iterator[pd.DataFrame]:
    """As `read_table`, some thousand rows at a time; at least one table, which may be empty."""
    columns = ["id", "label", "text"]
    with _explained(path):
        reader = pd.read_csv(
            path,
            keep_default_na=False,
            dtype={"label": str, "text": str},
            chunksize=ROWS_AT_A_TIME,
        )
    with reader:
        while True:
            with _explained(path):
                chunk = next(reader, None)
            if chunk is None:
                return
            _check_columns(chunk, columns, path)
            yield chunk


def read_rows(path: Path, columns: list[str], types: dict[str, type] | None = None) -> pd.DataFrame:
    """Read a CSV of the project's own that has these columns, and perhaps others.

    Raises LoralabError where it is missing or damaged.
    """
    with _explained(path):
        table = pd.read_csv(path, keep_default_na=False, dtype=types)
    _check_columns(table, columns, path)
    return table


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What pandas raises of a missing or damaged file, in a line."""
    try:
        yield
    except OSError as error:
        raise LoralabError(f"{path}: {error.strerror}; run the stage that writes it") from None
    except ValueError as error:  # what pandas raises of damaged files is among its subclasses
        reason = " ".join(str(error).split())
        raise LoralabError(f"{path} is damaged ({reason}); delete it and run again") from None


def _check_columns(table: pd.DataFrame, columns: list[str], path: Path) -> None:
    if not set(columns) <= set(table.columns):
        wanted = f"{', '.join(columns[:-1])} or {columns[-1]}"
        raise LoralabError(f"{path} lacks {wanted}; delete it and run again")


def write_table(table: pd.DataFrame, target: Path | TextIO) -> None:
    """Write a table as CSV, to a file or a stream, the same bytes on every system."""
    # A reader takes a carriage return for the end of a row unless it is quoted, and the writer
    # quotes it only where it quotes all texts.
    texts = table.select_dtypes(exclude="number")
    returns = any(texts[column].astype(str).str.contains("\r").any() for column in texts)
    quoting = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    table.to_csv(target, index=False, lineterminator="\n", quoting=quoting)


def _lines(path: Path, encoding: str, advice: str, newline: str) -> Iterator[str]:
    """The lines of a text file with what ends them, as `open` splits them with this `newline`."""
    try:
        with path.open(encoding=encoding, newline=newline) as file:
            for number, line in enumerate(file):
                yield line if number else line.removeprefix("\ufeff")
    except UnicodeError as error:
        where = _first_undecodable(path, encoding) or f" is not {encoding} ({error})"
        raise LoralabError(f"{path}{where}; {advice}") from None
    except (LookupError, ValueError):
        raise LoralabError(f"data.encoding {encoding!r} is no encoding that Python has") from None


def _first_undecodable(path: Path, encoding: str) -> str | None:
    """Which line and byte of a file cannot be decoded, where it is a byte that cannot."""
    raw = path.read_bytes()
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        return f" line {line}: byte {raw[error.start]:#04x} is not {encoding}"
    except UnicodeError:
        pass
    return None


def _read_strictly(path: Path, layout: MessageFormat) -> Iterator[tuple[pd.DataFrame, list[Fault]]]:
    """Some thousand rows at a time: the sound ones as a table, line and fault of every other."""
    rows = _rows(path, layout)
    first = next(rows, None)
    if first is None:
        raise LoralabError(f"{path} is empty; expected messages")
    columns = _columns(first, layout, path)
    if layout.columns or layout.format == "jsonl":
        rows = chain([first], rows)
    label, place = columns.index(layout.label_column), columns.index(layout.text_column)
    while some := list(islice(rows, ROWS_AT_A_TIME)):
        faults = [(row.line, _fault(row, len(columns))) for row in some]
        sound = [row for row, (_, fault) in zip(some, faults, strict=True) if not fault]
        records = [(row.line, row.fields[label], row.fields[place]) for row in sound]
        table = pd.DataFrame(records, columns=["id", "label", "text"])
        yield table, [(line, fault) for line, fault in faults if fault]


def _rows(path: Path, layout: MessageFormat) -> Iterator[_Row]:
    if layout.format == "csv":
        return _csv_rows(_lines(path, layout.encoding, ADVICE, newline=""))
    lines = _lines(path, layout.encoding, ADVICE, newline="\n")
    return _tsv_rows(lines) if layout.format == "tsv" else _jsonl_rows(lines, layout)


def _columns(first: _Row, layout: MessageFormat, path: Path) -> list[str]:
    if layout.format == "jsonl":
        return [layout.label_column, layout.text_column]
    if not layout.columns:
        _check_header(first, path)
    columns = layout.columns or first.fields
    twice = sorted({name for name in columns if columns.count(name) > 1})
    raise_all([f"{name!r} is there more than once" for name in twice], f"{path}: column names")
    wanted = (("label_column", layout.label_column), ("text_column", layout.text_column))
    raise_all(
        [f"data.{key} {name!r} is not among them" for key, name in wanted if name not in columns],
        f"{path} has the columns {', '.join(columns)}",
    )
    return columns


def _check_header(row: _Row, path: Path) -> None:
    if row.fault:
        raise LoralabError(f"{path} line 1 {row.fault}")


def _tsv_rows(lines: Iterable[str]) -> Iterator[_Row]:
    """One line, one message; a quote is a character like any other."""
    for number, line in enumerate(lines):
        yield _Row(number, _without_end(line).split("\t"))


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")


def _csv_rows(lines: Iterable[str]) -> Iterator[_Row]:
    """RFC 4180: a quoted field may hold commas, quotes and line breaks."""
    reader = csv.reader(lines, strict=True)
    line = 0
    try:
        for fields in reader:
            yield _Row(line, fields)
            line = reader.line_num
    except csv.Error as error:
        yield _Row(line, [], f"is no sound CSV ({error}); what follows could not be read")


def _jsonl_rows(lines: Iterable[str], layout: MessageFormat) -> Iterator[_Row]:
    for number, line in enumerate(lines):
        yield _json_row(number, _without_end(line), layout)


def _json_row(line: int, text: str, layout: MessageFormat) -> _Row:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _Row(line, [], f"holds no JSON object ({error})")
    if not isinstance(record, dict):
        return _Row(line, [], "holds no JSON object")
    wanted = [layout.label_column, layout.text_column]
    missing = [key for key in wanted if key not in record]
    if missing:
        return _Row(line, [], f"has no key {' and no key '.join(map(repr, missing))}")
    label, body = (record[key] for key in wanted)
    if not isinstance(body, str) or isinstance(label, (dict, list, float)) or label is None:
        return _Row(line, [], "needs a string as text, and a string or a whole number as label")
    if any("\ud800" <= character <= "\udfff" for character in body):
        return _Row(line, [], "has a text with half a surrogate pair, which no encoding can write")
    return _Row(line, [label if isinstance(label, str) else json.dumps(label), body])


def _fault(row: _Row, width: int) -> str | None:
    """What is wrong with a record as such, before its label and text are looked at."""
    if row.fault:
        return row.fault
    if row.fields in ([], [""]):
        return "is blank"
    if len(row.fields) != width:
        return f"has {len(row.fields)} fields, expected {width}"
    return None


def _read_as_the_lab(
    path: Path, layout: MessageFormat
) -> Iterator[tuple[pd.DataFrame, list[Fault]]]:
    """pandas.read_csv with default quoting; a message's line is counted from those before it."""
    text = "".join(_lines(path, layout.encoding, ADVICE, newline=""))
    try:
        with warnings.catch_warnings():  # pandas drops surplus fields with a warning alone
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = _pandas_default(text, layout.columns)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        reason = " ".join(str(error).split())
        raise LoralabError(f"{path} cannot be read with data.parser lab ({reason})") from None
    table = table[[layout.label_column, layout.text_column]].fillna("")
    table.columns = ["label", "text"]
    # A quoted field that swallowed lines holds their line breaks.
    lines = 1 + table["text"].str.count("\n") + table["label"].str.count("\n")
    table.insert(0, "id", lines.cumsum() - lines)
    yield table, []


def _pandas_default(text: str, columns: list[str]) -> pd.DataFrame:
    return pd.read_csv(
        io.StringIO(text),
        sep="\t",
        header=None,
        names=columns,
        index_col=False,
        skip_blank_lines=False,
        keep_default_na=False,
        dtype=str,
    )


def _row_problems(table: pd.DataFrame, labels: list[str]) -> list[Fault]:
    """The line and the problem of every unknown label and every empty text."""
    expected = f"expected one of {', '.join(labels)} (data.labels)"
    unknown = table[~table["label"].isin(labels)]
    empty = table[table["text"].str.strip() == ""]
    return [
        *(
            (row.id, f"has the unknown label {row.label!r}, {expected}")
            for row in unknown.itertuples()
        ),
        *((row.id, "has an empty text") for row in empty.itertuples()),
    ]
