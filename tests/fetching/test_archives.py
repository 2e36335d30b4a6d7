"""Zip archives: a member by its exact name, within bounds, and never its path."""

import struct
import zipfile

import pytest
from loralab.errors import LoralabError
from loralab.fetching import archives
from loralab.fetching.archives import extract_member

CONTENT = b"ham\thello\n"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("folder/messages", b"wrong")
        opened.writestr("messages", CONTENT)
        opened.writestr("../escape", CONTENT)
    return path


def test_a_member_is_found_by_its_exact_name(archive, target):
    extract_member(archive, "messages", target)
    assert target.read_bytes() == CONTENT


def test_the_path_of_a_member_is_never_used(archive, tmp_path):
    (tmp_path / "in").mkdir()
    extract_member(archive, "../escape", tmp_path / "in" / "target")
    assert not (tmp_path / "escape").exists()
    assert (tmp_path / "in" / "target").read_bytes() == CONTENT


def test_a_missing_member_is_named_with_those_that_are_there(archive, target):
    with pytest.raises(LoralabError, match="has no member 'Messages'; it has folder/messages, m"):
        extract_member(archive, "Messages", target)
    assert not target.exists()


def test_a_file_that_is_no_archive_is_refused(tmp_path, target):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    with pytest.raises(LoralabError, match="is not a sound zip archive"):
        extract_member(tmp_path / "a.zip", "messages", target)
    assert not target.exists()


def test_a_member_that_claims_to_be_too_large_is_refused(archive, target, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_MEMBER", len(CONTENT) - 1)
    with pytest.raises(LoralabError, match="messages claims 10 bytes; refused"):
        extract_member(archive, "messages", target)
    assert not target.exists()


def test_a_member_that_unpacks_to_hundreds_of_times_its_size_is_refused(tmp_path, target):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("messages", bytes(10_000_000))
    with pytest.raises(LoralabError, match="claims 10000000 bytes out of"):
        extract_member(bomb, "messages", target)
    assert not target.exists()


def test_a_member_is_never_longer_than_it_claims(tmp_path, target):
    archive = tmp_path / "liar.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("messages", b"x" * 1000)
    lying = archive.read_bytes().replace(struct.pack("<I", 1000), struct.pack("<I", 10))
    archive.write_bytes(lying)
    with pytest.raises(LoralabError, match="is not a sound zip archive"):
        extract_member(archive, "messages", target)
    assert not target.exists()


def test_a_member_whose_bytes_were_damaged_is_refused(archive, target):
    archive.write_bytes(archive.read_bytes().replace(b"hello", b"jello"))
    with pytest.raises(LoralabError, match="is not a sound zip archive"):
        extract_member(archive, "messages", target)
    assert not target.exists()
