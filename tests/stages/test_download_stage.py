"""The download as a command: what an interruption leaves is what the next run goes on from."""

import hashlib
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest
from local_server import CONTENT, Handler

SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def config(server, small_config):
    """The arguments for messages at the server's `/messages.tsv`."""
    return small_config(
        data={"source": "url", "urls": [f"{server.url}/messages.tsv"], "sha256": SHA256}
    )


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_download_goes_on_where_it_was(config, server, run_stage, tmp_path, how):
    killed = threading.Event()

    def slow(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:4])
        killed.wait(60)

    server.answers["/messages.tsv"] = slow
    command = [sys.executable, "-m", "loralab.stages.download", *config]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    part = tmp_path / "state/download/resources/data/embedded-sms" / f"{SHA256}.part"
    while not part.is_file() or part.stat().st_size < 4:
        assert running.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    running.send_signal(how)
    running.wait()
    killed.set()
    server.answers["/messages.tsv"] = Handler.send_rest
    done = run_stage("download", *config)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "resources/data/embedded-sms/messages.tsv").read_bytes() == CONTENT
    assert server.asked[-1] == ("/messages.tsv", "bytes=4-") and not part.exists()


def test_a_download_that_fails_is_one_line_and_keeps_nothing_but_its_part(
    config, server, run_stage, files
):
    server.answers["/messages.tsv"] = lambda handler: handler.send(b"<html>no", 403)
    failed = run_stage("download", *config)
    assert failed.returncode == 1
    assert len(failed.stderr.strip().splitlines()) == 1
    assert "answered 403" in failed.stderr and "mirror=FOLDER" in failed.stderr
    assert files() == set()


def test_a_member_of_a_downloaded_archive_becomes_the_messages(
    server, small_config, run_stage, tmp_path
):
    archive = tmp_path / "sms.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("SMSSpamCollection", CONTENT)
    body = archive.read_bytes()
    server.answers["/sms.zip"] = lambda handler: handler.send(body)
    data = {
        "source": "url",
        "urls": [f"{server.url}/sms.zip"],
        "sha256": hashlib.sha256(body).hexdigest(),
        "member": "SMSSpamCollection",
        "member_sha256": SHA256,
    }
    done = run_stage("download", *small_config(data=data))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "resources/data/embedded-sms/messages.tsv").read_bytes() == CONTENT
