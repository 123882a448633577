"""A server that lets every page in: what browser.sh --open checks its page against.

    browser_open.py PORT-FILE
"""

import base64
import hashlib
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT_FILE = sys.argv[1]
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.headers.get("upgrade", "").lower() == "websocket":
            accept = base64.b64encode(hashlib.sha1(self.headers["sec-websocket-key"].encode() + MAGIC).digest())
            self.send_response(101)
            self.send_header("upgrade", "websocket")
            self.send_header("connection", "upgrade")
            self.send_header("sec-websocket-accept", accept.decode())
            if "sec-websocket-protocol" in self.headers:
                self.send_header("sec-websocket-protocol", "realtime")
            self.end_headers()
            self.close_connection = True
            return
        events = "event-stream" in self.headers.get("accept", "")
        script = self.headers.get("sec-fetch-dest") == "script"
        data = b"data: x\n\n" if events else b"void 0;" if script else b"{}"
        self.send_response(200)
        kind = "text/event-stream" if events else "text/javascript" if script else "application/json"
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.send_header("access-control-allow-origin", self.headers.get("origin", "*"))
        self.send_header("access-control-allow-credentials", "true")
        self.send_header("access-control-allow-headers", "authorization, content-type")
        self.send_header("access-control-allow-private-network", "true")
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_OPTIONS = answer


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(PORT_FILE + ".new", "w", encoding="utf-8") as f:
    f.write(str(server.server_address[1]))
os.replace(PORT_FILE + ".new", PORT_FILE)
server.serve_forever()
