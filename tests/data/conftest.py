"""What the tests of reading and splitting share."""

from dataclasses import replace

import pandas as pd
import pytest
from loralab.data.messages import MessageFormat, read_messages

TSV = MessageFormat("tsv", ["label", "text"], "label", "text", ["ham", "spam"], "utf-8", "strict")


@pytest.fixture
def read(tmp_path):
    """Write bytes or text to a file and read it as messages, by TSV unless told otherwise."""

    def write_and_read(content: bytes | str, **changes) -> pd.DataFrame:
        path = tmp_path / "messages"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_messages(path, replace(TSV, **changes))

    return write_and_read
