"""One file over HTTP, through cut connections, silent servers and busy ones.

What arrived is kept beside the target as a `.part` file, and the next attempt asks for the rest
only, whether it comes a second later or after the process was killed.
"""

import logging
import time
from pathlib import Path

import requests
from tqdm import tqdm
from urllib3.exceptions import HTTPError, InvalidHeader
from urllib3.util import Retry

from loralab.errors import LoralabError

log = logging.getLogger(__name__)

ATTEMPTS = 4  # in a row that bring nothing new; then the next source is tried
PAUSE = 1.0  # seconds before the second attempt, twice as many before each that follows
LONGEST_PAUSE = 60.0  # seconds, whatever the server asks for in Retry-After
TIMEOUT = (10, 60)  # seconds to connect, seconds between two reads
REDIRECTS = 5  # in a row
CHUNK = 1 << 20  # bytes read at a time, at most
LARGEST_FILE = 32 << 30  # bytes; a server that sends more is not believed
BUSY = {408, 425, 429, 500, 502, 503, 504}  # statuses that another attempt may change


class _TryAgain(Exception):
    """An attempt failed in a way that another may not; `pause` is what the server asked for."""

    def __init__(self, reason: str, pause: float | None = None):
        super().__init__(reason)
        self.pause = pause


def download(url: str, part: Path) -> bool:
    """Bring the file at `url` to `part`, going on where an earlier attempt left it.

    Nothing is known of the content yet: the caller checks it. True where it was put together from
    more than one answer. Raises LoralabError, with the part kept, where the server refuses, or
    brings nothing new in several attempts.
    """
    most, failures = _size(part), 0
    with requests.Session() as session:
        session.max_redirects = REDIRECTS
        while True:
            try:
                return _attempt(session, url, part)
            except _TryAgain as error:
                failures = 1 if _size(part) > most else failures + 1
                most = max(most, _size(part))
                if failures == ATTEMPTS:
                    raise LoralabError(f"{url} {error}, {ATTEMPTS} times in a row") from None
                pause = min(error.pause or PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
                log.info("%s %s; again in %.0f s", url, error, pause)
                time.sleep(pause)


def _attempt(session: requests.Session, url: str, part: Path) -> bool:
    present = _size(part)
    # Bytes as they are: compressed on the way, their count and their offsets would be others.
    headers = {"Accept-Encoding": "identity"}
    if present:
        headers["Range"] = f"bytes={present}-"
    try:
        with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            _check_status(response, url, part)
            _receive(response, url, part, present)
            return response.status_code == 206
    except requests.TooManyRedirects:
        raise LoralabError(f"{url} redirects more than {REDIRECTS} times") from None
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise LoralabError(f"{url} has no valid certificate") from None
        raise _TryAgain("could not be spoken to securely") from None
    except (requests.ConnectionError, requests.Timeout, HTTPError):
        received = _size(part)
        cut = f"was cut off after {received} bytes" if received > present else "did not answer"
        raise _TryAgain(cut) from None
    except (requests.RequestException, ValueError) as error:
        raise LoralabError(f"{url} cannot be fetched ({type(error).__name__})") from None


def _check_status(response: requests.Response, url: str, part: Path) -> None:
    answer = f"answered {response.status_code} {response.reason}"
    if response.status_code == 416:  # it has nothing after what is here: begin anew
        part.unlink(missing_ok=True)
        raise _TryAgain(answer)
    if response.status_code in BUSY:
        asked = response.headers.get("Retry-After")
        raise _TryAgain(answer, _seconds(asked) if asked else None)
    if response.status_code not in (200, 206):
        raise LoralabError(f"{url} {answer}")
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("text/html") and not _name(url).endswith((".html", ".htm")):
        raise LoralabError(f"{url} {answer} with a web page, not the file")


def _seconds(retry_after: str) -> float | None:
    """What a Retry-After header asks for, which may be a date; None where it makes no sense."""
    try:
        return Retry().parse_retry_after(retry_after)
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _receive(response: requests.Response, url: str, part: Path, present: int) -> None:
    """Write the body: after what is there where the server goes on from it, else from the start."""
    goes_on = response.status_code == 206
    length = response.headers.get("Content-Length", "")
    received = present if goes_on else 0
    total = received + int(length) if length.isdecimal() and len(length) < 16 else None
    if (total or 0) > LARGEST_FILE:
        raise LoralabError(f"{url} announces {total} bytes; refused")
    progress = {"total": total, "initial": received, "unit": "B", "unit_scale": True, "delay": 2}
    with (
        part.open("ab" if goes_on else "wb") as file,
        tqdm(desc=_name(url), disable=None, **progress) as bar,
    ):
        # `read1` hands over what there is; `iter_content` loses what it holds at a cut.
        while chunk := response.raw.read1(CHUNK):
            received += len(chunk)
            if received > LARGEST_FILE:
                part.unlink()
                raise LoralabError(f"{url} sends more than {LARGEST_FILE} bytes; refused")
            file.write(chunk)
            file.flush()  # a process that is killed leaves what it received
            bar.update(len(chunk))


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
