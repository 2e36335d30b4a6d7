"""Records of the table of messages are found by number and copied as they stand."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loralab.data.messages import read_table, write_table
from loralab.data.records import Records

AWKWARD = ["NA", 'say "hi"', "a,b", "one\ntwo", "one\rtwo", "one\r\ntwo", "£", " x ", '"', "007"]
texts = st.lists(st.sampled_from(AWKWARD) | st.text(min_size=1, max_size=6), max_size=12)


def table_of(found: list[str]) -> pd.DataFrame:
    frame = {"id": range(len(found)), "label": ["ham", "spam"] * len(found), "text": found}
    return pd.DataFrame({name: list(column)[: len(found)] for name, column in frame.items()})


def records_of(table: pd.DataFrame) -> list[tuple]:
    return list(zip(table["id"], table["label"], table["text"], strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("records")


@given(texts.filter(lambda found: "\0" not in "".join(found)), st.data())
def test_records_of_any_numbers_are_read_back_in_their_order(folder, found, data):
    table = table_of(found)
    cut = data.draw(st.integers(0, len(found)))
    records = Records.write([table[:cut], table[cut:]], folder / "all.csv")
    assert records_of(read_table(folder / "all.csv")) == records_of(table)
    numbers = data.draw(st.permutations(range(len(found))))[: len(found) // 2]
    records.copy(numbers, folder / "some.csv")
    assert records_of(read_table(folder / "some.csv")) == records_of(table.iloc[numbers])


def test_the_file_is_what_a_table_of_all_would_be(tmp_path):
    table = table_of(["plain", 'say "hi"', "a,b", "one\ntwo", "£"])
    Records.write([table], tmp_path / "records.csv")
    write_table(table, tmp_path / "table.csv")
    assert (tmp_path / "records.csv").read_bytes() == (tmp_path / "table.csv").read_bytes()


def test_a_split_without_messages_is_a_header(tmp_path):
    Records.write([table_of(["one"])], tmp_path / "all.csv").copy([], tmp_path / "none.csv")
    assert (tmp_path / "none.csv").read_bytes() == b"id,label,text\n"
