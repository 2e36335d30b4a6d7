"""Messages are read from TSV, CSV and JSONL with nothing lost, and faults are named by line."""

import json

import pandas as pd
import pytest
from loralab.data import messages
from loralab.data.messages import read_csv_column, read_table, write_table
from loralab.errors import LoralabError

GOOD = "ham\thello\nspam\twin\n"


def records(table):
    return list(table.itertuples(index=False, name=None))


def test_tsv_keeps_quotes_verbatim(read):
    table = read('ham\t"so it goes\nspam\t"win" now""\n')
    assert records(table) == [(0, "ham", '"so it goes'), (1, "spam", '"win" now""')]


def test_tsv_may_name_its_columns_in_any_order_in_a_header_row(read):
    table = read(
        "body\tkind\nhello\tham\nwin\tspam\n", columns=None, label_column="kind", text_column="body"
    )
    assert records(table) == [(1, "ham", "hello"), (2, "spam", "win")]


@pytest.mark.parametrize(
    "content",
    [GOOD, GOOD.replace("\n", "\r\n"), GOOD.rstrip("\n"), "\ufeff" + GOOD],
    ids=["plain", "crlf", "no last line break", "byte order mark"],
)
def test_line_endings_and_byte_order_mark_are_no_part_of_a_message(read, content):
    assert records(read(content)) == [(0, "ham", "hello"), (1, "spam", "win")]


def test_a_declared_encoding_is_used(read):
    table = read("ham\tcafé\nspam\t£5\n".encode("cp1252"), encoding="cp1252")
    assert list(table["text"]) == ["café", "£5"]


def test_csv_fields_over_several_lines_have_the_id_of_their_first_line(read):
    content = 'label,text\r\nham,"one\ntwo, ""three"""\r\nspam,win\r\n'
    table = read(content, format="csv", columns=None)
    assert records(table) == [(1, "ham", 'one\ntwo, "three"'), (3, "spam", "win")]


def test_csv_without_a_header_row_uses_the_declared_columns(read):
    table = read("hello,7,ham\nwin,8,spam\n", format="csv", columns=["text", "n", "label"])
    assert records(table) == [(0, "ham", "hello"), (1, "spam", "win")]


def test_two_columns_of_one_name_are_refused(read):
    with pytest.raises(LoralabError, match="'text' is there more than once"):
        read("label,text,text\nham,hello,there\n", format="csv", columns=None)


def test_surplus_fields_are_refused_by_the_labs_parser_too(read):
    with pytest.raises(LoralabError, match="cannot be read with data.parser lab"):
        read("ham\thello\textra\nspam\twin\tmore\n", parser="lab")


def test_csv_with_an_unclosed_quote_is_refused_by_its_line(read):
    with pytest.raises(LoralabError, match="line 2 .*could not be read"):
        read('ham,hello\nspam,"win\n', format="csv")


def test_jsonl_reads_the_named_keys_and_whole_number_labels(read):
    rows = [{"label": 0, "text": 'a\t"b"'}, {"label": 1, "text": "win\nnow", "other": None}]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    table = read(content, format="jsonl", columns=None, labels=["0", "1"])
    assert records(table) == [(0, "0", 'a\t"b"'), (1, "1", "win\nnow")]


def test_bad_jsonl_records_are_all_reported(read):
    lines = [
        "{",
        "[1]",
        '{"text": "x"}',
        '{"label": "ham", "text": 3}',
        '{"label": null, "text": ""}',
    ]
    with pytest.raises(LoralabError) as caught:
        read("\n".join(lines), format="jsonl", columns=None)
    message = str(caught.value)
    assert "line 1 holds no JSON object (" in message
    assert "line 2 holds no JSON object" in message
    assert "line 3 has no key 'label'" in message
    assert "line 4 needs a string as text" in message
    assert "line 5 needs a string as text" in message


def test_wrong_field_counts_and_blank_lines_are_all_reported(read):
    with pytest.raises(LoralabError) as caught:
        read("ham\thello\nham\n\nspam\twin\tnow\n")
    message = str(caught.value)
    assert "line 1" not in message
    assert "line 2 has 1 fields, expected 2" in message
    assert "line 3 is blank" in message
    assert "line 4 has 3 fields, expected 2" in message


def test_unknown_labels_and_empty_texts_are_all_reported(read):
    with pytest.raises(LoralabError) as caught:
        read("ham\thello\neggs\thello\nspam\t \n")
    message = str(caught.value)
    assert "line 1 " not in message
    assert "line 2 has the unknown label 'eggs', expected one of ham, spam" in message
    assert "line 3 has an empty text" in message


def test_a_label_that_no_message_has_is_reported(read):
    with pytest.raises(LoralabError, match="no message has the label 'spam'"):
        read("ham\thello\n")


def test_a_column_that_is_not_there_is_named(read):
    with pytest.raises(LoralabError, match="columns kind, text: .*label_column 'label'"):
        read("kind\ttext\nham\thello\n", columns=None)


def test_an_empty_file_is_refused(read):
    with pytest.raises(LoralabError, match="is empty; expected messages"):
        read("")


def test_a_wrong_encoding_names_the_line_and_the_byte(read):
    with pytest.raises(LoralabError, match="line 2: byte 0xa3 is not utf-8"):
        read("ham\thello\nspam\t£5\n".encode("cp1252"))


def test_utf_16_is_read_by_its_byte_order_mark_and_not_guessed_without(read):
    assert list(read(GOOD.encode("utf-16"), encoding="utf-16")["text"]) == ["hello", "win"]
    assert list(read(GOOD.encode("utf-16-le"), encoding="utf-16-le")["text"]) == ["hello", "win"]
    with pytest.raises(LoralabError, match="is not utf-16 .*BOM"):
        read(GOOD.encode("utf-16-le"), encoding="utf-16")
    with pytest.raises(LoralabError, match="line 3: byte 0x41 is not utf-16"):
        read(GOOD.encode("utf-16") + b"A", encoding="utf-16")


def test_an_unknown_encoding_is_named(read):
    with pytest.raises(LoralabError, match="'utf-88' is no encoding"):
        read(GOOD, encoding="utf-88")


def test_parser_lab_fuses_rows_at_unbalanced_quotes_and_keeps_right_ids(read):
    content = 'ham\tone\nham\t"two\nspam\tthree\nham\tfour" end\nspam\tfive\nham\tsix\n'
    table = read(content, parser="lab")
    fused = "two\nspam\tthree\nham\tfour end"
    assert records(table) == [
        (0, "ham", "one"),
        (1, "ham", fused),
        (4, "spam", "five"),
        (5, "ham", "six"),
    ]
    assert list(read(content)["id"]) == [0, 1, 2, 3, 4, 5]


def test_a_written_table_is_read_back_unchanged(tmp_path):
    texts = ["NA", 'say "hi"', "a,b", "one\ntwo", "£"]
    table = pd.DataFrame({"id": range(5), "label": ["ham"] * 5, "text": texts})
    write_table(table, tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv"), table)


def test_faulty_rows_unknown_labels_and_empty_texts_are_reported_together_in_their_order(read):
    with pytest.raises(LoralabError) as caught:
        read("ham\t \nspam\neggs\thello\n")
    lines = str(caught.value).splitlines()[1:]
    assert [line.split()[2] for line in lines] == ["1", "2", "3"]


def test_the_lab_parser_refuses_a_quote_that_never_closes(read):
    with pytest.raises(LoralabError, match=r"data\.parser lab"):
        read('ham\thello\nspam\t"never closed\n', parser="lab")


def test_the_lab_parser_reports_a_blank_line_by_its_number(read):
    with pytest.raises(LoralabError, match="line 2 "):
        read("ham\ta\n\nspam\tb\n", parser="lab")


def test_a_table_keeps_every_kind_of_line_break_inside_a_text(tmp_path):
    texts = ["one\rtwo", "one\ntwo", "one\r\ntwo", 'a "quote", a comma', "NA"]
    table = pd.DataFrame({"id": range(5), "label": "ham", "text": texts})
    write_table(table, tmp_path / "table.csv")
    assert list(read_table(tmp_path / "table.csv")["text"]) == texts


def test_half_a_surrogate_pair_is_a_fault_of_its_line(read):
    content = json.dumps({"label": "ham", "text": "a\ud800"}) + "\n"
    with pytest.raises(LoralabError, match="line 1 has a text with half a surrogate pair"):
        read(content, format="jsonl", columns=None)


def test_a_very_long_text_is_read(read):
    content = f"label,text\nham,{'a' * 200_000}\nspam,win\n"
    assert list(read(content, format="csv", columns=None)["text"].str.len()) == [200_000, 3]


# Files of many rows, read some at a time


@pytest.fixture
def two_at_a_time(monkeypatch):
    monkeypatch.setattr(messages, "ROWS_AT_A_TIME", 2)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("header", [True, False])
def test_no_row_is_lost_or_renumbered_where_one_piece_ends(read, two_at_a_time, rows, header):
    found = [(n + header, ("ham", "spam")[n % 2], f"text {n}") for n in range(rows)]
    lines = "".join(f"{label}\t{text}\n" for _, label, text in found)
    columns = None if header else ["label", "text"]
    labels = ["ham", "spam"][:rows]
    content = "label\ttext\n" * header + lines
    assert records(read(content, columns=columns, labels=labels)) == found


def test_faults_of_all_pieces_are_reported_together(read, two_at_a_time):
    with pytest.raises(LoralabError) as caught:
        read("ham\ta\nspam\n" * 3 + "eggs\tb\n")
    lines = str(caught.value).splitlines()[1:]
    assert [line.split()[2] for line in lines] == ["2", "4", "6", "7"]


def test_a_table_is_read_whole_by_pieces(tmp_path, two_at_a_time):
    table = pd.DataFrame({"id": range(5), "label": "ham", "text": list("abcde")})
    write_table(table, tmp_path / "table.csv")
    pieces = list(messages.read_table_in_chunks(tmp_path / "table.csv"))
    assert [len(piece) for piece in pieces] == [2, 2, 1]
    pd.testing.assert_frame_equal(pd.concat(pieces), table)


def test_bytes_that_cannot_be_decoded_far_into_a_file_are_named_by_their_line(read):
    with pytest.raises(LoralabError, match="line 9001: byte 0xff is not utf-8"):
        read(b"ham\thello\n" * 9000 + b"ham\t\xff\n")


# Columns to classify


def column(tmp_path, content, name="text"):
    (tmp_path / "new.csv").write_bytes(content.encode())
    return read_csv_column(tmp_path / "new.csv", name)


def test_a_column_has_a_text_for_every_row(tmp_path):
    assert column(tmp_path, 'id,text\n1,"a, b"\n2,NA\n3,"two\nlines"\n') == [
        *("a, b", "NA", "two\nlines")
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("text\nhello, world\n", "line 2 has 2 fields, expected 1"),
        ("text\na\n\nb\n", "line 3 is blank"),
        ("text,text\na,b\n", "no one column 'text'"),
        ("id,said\n1,b\n", "its columns are: id, said"),
        ("", "its columns are: none"),
        ('"id,text\n1,a\n', "line 1 is no sound CSV"),
    ],
)
def test_a_column_that_is_not_one_text_a_row_is_refused(tmp_path, content, complaint):
    with pytest.raises(LoralabError, match=complaint):
        column(tmp_path, content)


# Tables of the project's own


@pytest.mark.parametrize("content", ["", "id,label\n1,ham\n", 'id,label,text\n1,ham,"x\n'])
def test_a_damaged_table_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(LoralabError, match="train.csv .*delete it and run again"):
        read_table(tmp_path / "train.csv")
