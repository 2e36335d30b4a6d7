"""Pinned files come from the mirror, then from each URL, and only with the right SHA-256."""

import hashlib
import itertools
import os
import time

import pytest
from local_server import CONTENT, Handler
from loralab.errors import LoralabError
from loralab.fetching import downloads
from loralab.fetching import pinned as pinned_files
from loralab.fetching.pinned import Pinned, find_in_mirror

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


@pytest.fixture
def parts(tmp_path):
    """The folder of unfinished downloads; what is in it is unfinished."""
    return tmp_path / "parts"


@pytest.fixture
def fetch(target, parts):
    """Fetch to the target."""
    return lambda wanted, mirror=None: pinned_files.fetch(wanted, target, mirror, parts)


def pinned(server, *names):
    return Pinned(tuple(f"{server.url}/{name}" for name in names), SHA256, "data.urls")


def mirror_with(tmp_path, name, content=CONTENT):
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / name).write_bytes(content)
    return str(folder)


def test_a_pinned_file_is_fetched_from_its_url(server, target, fetch):
    assert fetch(pinned(server, "good.tsv")) == f"{server.url}/good.tsv"
    assert target.read_bytes() == CONTENT


def test_a_pinned_file_is_known_by_the_last_part_of_its_first_url():
    wanted = Pinned(("https://host.example/a/sms+spam%20x.zip?v=2", "https://b.example/c"), "", "")
    assert wanted.name == "sms+spam x.zip"


def test_a_mirror_folder_is_searched_before_the_network(server, target, tmp_path, fetch):
    mirror = mirror_with(tmp_path, "good.tsv")
    assert fetch(pinned(server, "good.tsv"), mirror) == f"{mirror}/good.tsv"
    assert target.read_bytes() == CONTENT
    assert server.asked == []


def test_the_environment_may_name_the_mirror(server, target, tmp_path, monkeypatch, fetch):
    mirror = mirror_with(tmp_path, "good.tsv")
    monkeypatch.setenv("LORALAB_MIRROR", mirror + "/")
    assert fetch(pinned(server, "good.tsv")) == f"{mirror}/good.tsv"
    assert server.asked == []


def test_a_mirror_may_be_a_url(server, target, fetch):
    wanted = Pinned(("https://host.invalid/good.tsv",), SHA256, "data.urls")
    assert fetch(wanted, server.url) == f"{server.url}/good.tsv"


def test_a_mirror_with_other_bytes_is_passed_over(server, target, tmp_path, fetch):
    mirror = mirror_with(tmp_path, "good.tsv", b"other")
    assert fetch(pinned(server, "good.tsv"), mirror) == f"{server.url}/good.tsv"
    assert target.read_bytes() == CONTENT


def test_a_missing_file_is_sought_at_the_next_url(server, target, fetch):
    wanted = pinned(server, "gone.tsv", "good.tsv")
    assert fetch(wanted) == f"{server.url}/good.tsv"
    assert [path for path, _ in server.asked] == ["/gone.tsv", "/good.tsv"]


def test_a_wrong_hash_names_both_hashes_and_the_source_and_leaves_nothing(server, target, fetch):
    with pytest.raises(LoralabError) as caught:
        fetch(pinned(server, "bad.tsv"))
    found = hashlib.sha256(b"other").hexdigest()
    assert f"{server.url}/bad.tsv has 5 bytes with SHA-256 {found}, expected {SHA256}" in str(
        caught.value
    )
    assert not target.exists()


def test_every_source_is_listed_with_its_reason(server, target, tmp_path, fetch):
    wanted = Pinned((f"{server.url}/gone.tsv", "http://127.0.0.1:1/x.tsv"), SHA256, "data.urls")
    with pytest.raises(LoralabError) as caught:
        fetch(wanted, str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"data.urls needs gone.tsv with SHA-256 {SHA256}")
    assert f"{tmp_path}/gone.tsv: No such file or directory" in message
    assert f"{server.url}/gone.tsv answered 404" in message
    assert "http://127.0.0.1:1/x.tsv did not answer, 4 times in a row" in message
    assert "mirror=FOLDER" in message
    assert not target.exists()


def test_a_mirror_that_lacks_the_file_or_has_another_gives_none(server, target, parts, tmp_path):
    mirror = mirror_with(tmp_path, "a.tsv", b"other")
    for name, place in (("a.tsv", mirror), ("b.tsv", mirror), ("a.tsv", None)):
        assert find_in_mirror(name, SHA256, target, place, parts) is None
    assert not target.exists()
    found = find_in_mirror("good.tsv", SHA256, target, server.url, parts)
    assert found == f"{server.url}/good.tsv"


# What servers do


def answers(server, *each):
    """Let the server give these answers to `/file`, one after the other, the last for ever."""
    waiting = list(each)
    server.answers["/file"] = lambda h: (waiting.pop(0) if len(waiting) > 1 else waiting[0])(h)


def ranges(server):
    return [range_ for _, range_ in server.asked]


def failure(fetch, server, *names):
    with pytest.raises(LoralabError) as caught:
        fetch(pinned(server, *(names or ["file"])))
    return str(caught.value)


def test_a_connection_that_is_cut_goes_on_where_it_was(server, target, fetch):
    answers(server, lambda h: h.send_rest(sent=4), lambda h: h.send_rest(sent=3), Handler.send_rest)
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=4-", "bytes=7-"]


def test_a_cut_download_is_kept_for_the_next_run(server, target, parts, fetch):
    answers(server, lambda h: h.send_rest(sent=4), lambda h: h.send_error(404))
    assert "answered 404" in failure(fetch, server)
    assert (parts / f"{SHA256}.part").read_bytes() == CONTENT[:4] and not target.exists()
    server.asked.clear()
    answers(server, Handler.send_rest)
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT and not os.listdir(parts)
    assert ranges(server) == ["bytes=4-"]


def test_the_next_source_goes_on_where_the_first_was_cut(server, target, fetch):
    answers(server, lambda h: h.send_rest(sent=4), lambda h: h.send_error(404))
    fetch(pinned(server, "file", "good.tsv"))
    assert target.read_bytes() == CONTENT
    assert server.asked[-1] == ("/good.tsv", "bytes=4-")


def test_a_complete_part_needs_no_server(server, target, parts, fetch):
    parts.mkdir()
    (parts / f"{SHA256}.part").write_bytes(CONTENT)
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT and server.asked == []


@pytest.mark.parametrize("kept", [b"ha", b"HAM", b"something that is longer than the file"])
def test_a_part_of_something_else_is_done_without(server, target, parts, fetch, kept):
    parts.mkdir()
    (parts / f"{SHA256}.part").write_bytes(kept)
    fetch(pinned(server, "good.tsv"))
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_it_all_again(server, target, fetch):
    answers(server, lambda h: h.send(sent=4), Handler.send)
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT and len(server.asked) == 2


def test_another_range_than_was_asked_for_is_not_taken(server, target, fetch):
    wrong = {"Content_Range": f"bytes 2-9/{len(CONTENT)}"}
    answers(
        server, lambda h: h.send_rest(4), lambda h: h.send(CONTENT[2:], 206, **wrong), Handler.send
    )
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=4-", None]


def test_a_server_that_falls_silent_is_asked_again(server, target, fetch, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", (1, 0.4))

    def stall(handler):
        handler.send(sent=4)
        handler.wfile.flush()
        time.sleep(1)

    answers(server, stall, Handler.send_rest)
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT and len(server.asked) >= 2


def test_a_server_that_never_answers_is_given_up(server, target, fetch, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", (1, 0.05))
    answers(server, lambda h: time.sleep(0.3))
    assert "did not answer, 4 times in a row" in failure(fetch, server)
    assert not target.exists()


@pytest.mark.parametrize("length", [len(CONTENT) + 5, len(CONTENT) - 5, "plenty", None])
def test_a_false_length_does_no_harm(server, target, fetch, length):
    answers(server, lambda h: h.send(Content_Length=length))
    wanted = pinned(server, "file", "good.tsv")
    assert fetch(wanted) in (f"{server.url}/file", f"{server.url}/good.tsv")
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_and_not_for_ever(server, target, fetch, status):
    answers(server, lambda h: h.send(b"", status), lambda h: h.send(b"", status), Handler.send)
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT
    answers(server, lambda h: h.send(b"", status))
    server.asked.clear()
    assert f"answered {status}" in failure(fetch, server)
    assert len(server.asked) == downloads.ATTEMPTS


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server, fetch, status):
    answers(server, lambda h: h.send(b"", status))
    assert f"answered {status}" in failure(fetch, server)
    assert len(server.asked) == 1


def test_pauses_double_and_are_what_a_server_asks_for_within_reason(server, fetch, monkeypatch):
    paused = []
    monkeypatch.setattr(downloads.time, "sleep", paused.append)
    monkeypatch.setattr(downloads, "PAUSE", 1.0)
    answers(server, lambda h: h.send(b"", 500))
    failure(fetch, server)
    assert paused == [1, 2, 4]
    paused.clear()
    asked = iter(["7", "86400", "soon", "0"])
    answers(server, lambda h: h.send(b"", 429, Retry_After=next(asked)))
    failure(fetch, server)
    assert paused == [7, 60, 4]


def test_attempts_that_bring_something_new_do_not_count(server, target, fetch):
    answers(server, lambda h: h.send_rest(sent=1))
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT and len(server.asked) == len(CONTENT)


def test_a_redirect_is_followed_and_a_loop_of_them_is_not(server, target, fetch):
    answers(server, lambda h: h.send(b"", 302, Location="/good.tsv"))
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT
    answers(server, lambda h: h.send(b"", 302, Location="/file"))
    server.asked.clear()
    assert "redirects more than 5 times" in failure(fetch, server)
    assert len(server.asked) == 6


def test_a_redirect_cannot_reach_a_local_file(server, target, fetch, tmp_path):
    (tmp_path / "secret").write_bytes(CONTENT)
    answers(server, lambda h: h.send(b"", 302, Location=f"file://{tmp_path}/secret"))
    assert "cannot be fetched (InvalidSchema)" in failure(fetch, server)
    assert not target.exists()


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Log in", b"\n <html><p>Not found"])
def test_a_web_page_under_the_name_of_the_file_is_called_one(server, target, parts, fetch, page):
    answers(server, lambda h: h.send(page))
    assert "it is a web page, not the file" in failure(fetch, server)
    assert not target.exists() and not os.listdir(parts)


def test_a_web_page_costs_nothing_of_what_had_arrived(server, target, parts, fetch):
    page = {"body": b"<html>Log in to the network", "Content_Type": "text/html; charset=utf-8"}
    answers(server, lambda h: h.send_rest(sent=4), lambda h: h.send(**page))
    assert "answered 200 OK with a web page, not the file" in failure(fetch, server)
    assert (parts / f"{SHA256}.part").read_bytes() == CONTENT[:4]
    answers(server, Handler.send_rest)
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT and ranges(server)[-1] == "bytes=4-"


def test_halves_of_two_files_are_begun_anew(server, target, fetch):
    other = bytes(len(CONTENT))
    answers(server, lambda h: h.send(other, sent=4), Handler.send_rest)
    fetch(pinned(server, "file"))
    assert target.read_bytes() == CONTENT and ranges(server) == [None, "bytes=4-", None]


HUGE = "9" * 5000
ODD_HEADERS = [
    {"Content_Length": HUGE},
    {"status": 429, "Retry_After": HUGE},
    {"status": 429, "Retry_After": "Fri, 31 Dec 999999999999 23:59:59 GMT"},
    {"status": 302, "Location": "http://[::1"},
    {"status": 302, "Location": "\xff\xfe"},
    {"status": 302, "Location": ""},
]


@pytest.mark.parametrize("odd", ODD_HEADERS)
def test_after_whatever_a_server_says_the_next_one_is_asked(server, target, fetch, odd):
    answers(server, lambda h: h.send(**odd))
    fetch(pinned(server, "file", "good.tsv"))
    assert target.read_bytes() == CONTENT


def test_a_server_that_does_not_speak_tls_is_asked_again_and_not_called_false(server, fetch):
    with pytest.raises(LoralabError, match="could not be spoken to securely, 4 times in a row"):
        fetch(Pinned((server.url.replace("http:", "https:") + "/file",), SHA256, "data.urls"))


def test_bytes_are_asked_for_as_they_are(server, fetch):
    encodings = []
    answers(server, lambda h: (encodings.append(h.headers["Accept-Encoding"]), h.send()))
    fetch(pinned(server, "file"))
    assert encodings == ["identity"]


def test_answers_of_changing_length_come_to_an_end(server, fetch):
    """One that always begins anew, now longer and now shorter, brings nothing new."""
    lengths = itertools.cycle([4, 7])
    answers(server, lambda h: h.send(sent=next(lengths)))
    assert "times in a row" in failure(fetch, server)
    assert len(server.asked) <= 2 * downloads.ATTEMPTS


def test_a_wrong_file_is_not_kept(server, parts, fetch):
    failure(fetch, server, "bad.tsv")
    assert not os.listdir(parts)


def test_more_than_any_file_has_is_refused(server, parts, fetch, monkeypatch):
    monkeypatch.setattr(downloads, "LARGEST_FILE", 5)
    answers(server, Handler.send)
    assert "announces 10 bytes; refused" in failure(fetch, server)
    answers(server, lambda h: h.send(Content_Length=None))
    assert "sends more than 5 bytes; refused" in failure(fetch, server)
    assert not os.listdir(parts)
