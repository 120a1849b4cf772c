#!/usr/bin/env python3
"""Stand before the peers: take the base path off that they do not know, and keep every request for the judges.

    front.py UPSTREAM BASE_PATH LOG [PORT]

Prints its port as soon as it listens. Each line of LOG is a request as JSON, with its credential and the answer's
status.
"""

import http.client
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# What belongs to one connection is not handed on.
HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding"}


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = ""
    base = ""
    log_path = ""
    lock = threading.Lock()

    def handle_any(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if not self.path.startswith(self.base + "/"):
            self.answer(404, [], b'{"message": "the base path is missing"}', body)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            connection.request(self.command, self.path[len(self.base) :], body or None, headers)
            response = connection.getresponse()
            self.answer(response.status, response.getheaders(), response.read(), body)
        finally:
            connection.close()

    def answer(self, status, headers, content, request_body):
        entry = {
            "method": self.command,
            "path": self.path,
            "authorization": self.headers.get("authorization"),
            "body": json.loads(request_body) if request_body else None,
            "status": status,
        }
        with self.lock, open(self.log_path, "a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def log_message(self, *_):
        """The log is the file."""

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any


def main():
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    Front.upstream = urlsplit(sys.argv[1]).netloc
    Front.base, Front.log_path = sys.argv[2:4]
    port = int(sys.argv[4]) if len(sys.argv) == 5 else 0
    server = ThreadingHTTPServer(("127.0.0.1", port), Front)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
