"""One version of the bot as it serves users. The gateway starts it, once for each version.

It listens on $PORT, is what the files in $KF_VERSION_DIR make of it, and says on /ready that it can take requests. Looking a
question up takes 1 to 5 ms by turns; what `timeout_ms` of retrieval.json does not wait for is answered with 504.
"""

import itertools
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = os.environ["KF_VERSION"]
RETRIEVAL = json.loads(Path(os.environ["KF_VERSION_DIR"], "retrieval.json").read_text())
TURNS = itertools.count()


class Bot(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write an answer: of two, the second waits until the first is acknowledged.
    wbufsize = -1

    def do_GET(self):
        if self.path == "/ready":
            return self.answer(200, "ready")
        takes = 1 + next(TURNS) % 5
        time.sleep(min(takes, RETRIEVAL["timeout_ms"]) / 1000)
        if takes > RETRIEVAL["timeout_ms"]:
            return self.answer(504, f"retrieval timed out, says {VERSION}")
        self.answer(200, f"30 days [returns], says {VERSION}")

    def answer(self, status, text):
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, *_):
        pass  # The gateway counts.


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", int(os.environ["PORT"])), Bot).serve_forever()
