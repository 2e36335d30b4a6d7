"""Pinned files come from the mirror, then from each URL, and only with the right SHA-256."""

import hashlib
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from loralab.errors import LoralabError
from loralab.fetching import Pinned, extract_member, fetch, find_in_mirror

CONTENT = b"ham\thello\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.asked.append(self.path)
        super().do_GET()

    def send_header(self, keyword, value):
        is_length = keyword == "Content-Length" and self.path.startswith("/unmeasured")
        super().send_header(keyword, "plenty" if is_length else value)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of the folder `site` on this machine, which notes every path asked for."""
    for name in ("LORALAB_MIRROR", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    site = tmp_path / "site"
    site.mkdir()
    (site / "good.tsv").write_bytes(CONTENT)
    (site / "bad.tsv").write_bytes(b"other")
    handler = partial(Handler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.asked = []
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield running
        running.shutdown()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


def pinned(server, *names):
    return Pinned(tuple(f"{server.url}/{name}" for name in names), SHA256, "data.urls")


def mirror_with(tmp_path, name, content=CONTENT):
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / name).write_bytes(content)
    return str(folder)


def test_a_pinned_file_is_fetched_from_its_url(server, target):
    assert fetch(pinned(server, "good.tsv"), target, None) == f"{server.url}/good.tsv"
    assert target.read_bytes() == CONTENT


def test_a_pinned_file_is_known_by_the_last_part_of_its_first_url():
    wanted = Pinned(("https://host.example/a/sms+spam%20x.zip?v=2", "https://b.example/c"), "", "")
    assert wanted.name == "sms+spam x.zip"


def test_a_mirror_folder_is_searched_before_the_network(server, target, tmp_path):
    mirror = mirror_with(tmp_path, "good.tsv")
    assert fetch(pinned(server, "good.tsv"), target, mirror) == f"{mirror}/good.tsv"
    assert target.read_bytes() == CONTENT
    assert server.asked == []


def test_the_environment_may_name_the_mirror(server, target, tmp_path, monkeypatch):
    mirror = mirror_with(tmp_path, "good.tsv")
    monkeypatch.setenv("LORALAB_MIRROR", mirror + "/")
    assert fetch(pinned(server, "good.tsv"), target, None) == f"{mirror}/good.tsv"
    assert server.asked == []


def test_a_mirror_may_be_a_url(server, target):
    wanted = Pinned(("https://host.invalid/good.tsv",), SHA256, "data.urls")
    assert fetch(wanted, target, server.url) == f"{server.url}/good.tsv"


def test_a_mirror_with_other_bytes_is_passed_over(server, target, tmp_path):
    mirror = mirror_with(tmp_path, "good.tsv", b"other")
    assert fetch(pinned(server, "good.tsv"), target, mirror) == f"{server.url}/good.tsv"
    assert target.read_bytes() == CONTENT


def test_a_missing_file_is_sought_at_the_next_url(server, target):
    wanted = pinned(server, "gone.tsv", "good.tsv")
    assert fetch(wanted, target, None) == f"{server.url}/good.tsv"
    assert server.asked == ["/gone.tsv", "/good.tsv"]


def test_a_wrong_hash_names_both_hashes_and_the_source_and_leaves_nothing(server, target):
    with pytest.raises(LoralabError) as caught:
        fetch(pinned(server, "bad.tsv"), target, None)
    found = hashlib.sha256(b"other").hexdigest()
    assert f"{server.url}/bad.tsv has SHA-256 {found}, expected {SHA256}" in str(caught.value)
    assert not target.exists()


def test_every_source_is_listed_with_its_reason(server, target, tmp_path):
    wanted = Pinned((f"{server.url}/gone.tsv", "http://127.0.0.1:1/x.tsv"), SHA256, "data.urls")
    with pytest.raises(LoralabError) as caught:
        fetch(wanted, target, str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"data.urls needs gone.tsv with SHA-256 {SHA256}")
    assert f"{tmp_path}/gone.tsv: No such file or directory" in message
    assert f"{server.url}/gone.tsv answered 404" in message
    assert "http://127.0.0.1:1/x.tsv could not be reached (ConnectionError)" in message
    assert "mirror=FOLDER" in message
    assert not target.exists()


def test_a_mirror_that_lacks_the_file_or_has_another_gives_none(server, target, tmp_path):
    mirror = mirror_with(tmp_path, "a.tsv", b"other")
    assert find_in_mirror("a.tsv", SHA256, target, mirror) is None
    assert find_in_mirror("b.tsv", SHA256, target, mirror) is None
    assert find_in_mirror("a.tsv", SHA256, target, None) is None
    assert not target.exists()
    assert find_in_mirror("good.tsv", SHA256, target, server.url) == f"{server.url}/good.tsv"


# Zip archives


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


def test_a_length_that_is_no_number_does_not_keep_the_next_url_from_being_tried(server, target):
    (target.parent / "site" / "unmeasured.tsv").write_bytes(CONTENT)
    assert fetch(pinned(server, "unmeasured.tsv", "good.tsv"), target, None)
    assert target.read_bytes() == CONTENT
