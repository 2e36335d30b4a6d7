"""An HTTP server on this machine that does what real ones do, one file or the other."""

from http.server import BaseHTTPRequestHandler

CONTENT = b"ham\thello\n"


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's `answers` say, one function by path; 404 where there is none."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        answer = self.server.answers.get(self.path)
        answer(self) if answer else self.send_error(404)

    def send(self, body=CONTENT, status=200, sent=None, **headers):
        """`sent` is what goes out of the body before the connection closes, where not all."""
        self.send_response(status)
        headers = {"Content_Length": len(body), **headers}
        for name, value in headers.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body if sent is None else body[:sent])
        self.close_connection = True

    @property
    def start(self) -> int:
        """The first byte of the range that was asked for."""
        return int(self.headers.get("Range", "bytes=0-").split("=")[1].rstrip("-"))

    def send_rest(self, sent=None):
        """As a server that knows ranges does."""
        if self.start >= len(CONTENT):
            self.send(b"", 416)
        elif self.start:
            where = f"bytes {self.start}-{len(CONTENT) - 1}/{len(CONTENT)}"
            self.send(CONTENT[self.start :], 206, sent, Content_Range=where)
        else:
            self.send(sent=sent)
