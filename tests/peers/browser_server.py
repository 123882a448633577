"""Serves browser_page.html at an origin of its own, and keeps what the page reports.

    browser_server.py PAGE PORT-FILE REPORT-FILE
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE, PORT_FILE, REPORT_FILE = sys.argv[1:]


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        found = self.path == "/"
        with open(PAGE, "rb") as f:
            data = f.read() if found else b""
        self.send_response(200 if found else 404)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        data = self.rfile.read(int(self.headers.get("content-length", "0")))
        put(REPORT_FILE, data)
        self.send_response(204)
        self.end_headers()


def put(path, data):
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.replace(path + ".new", path)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
put(PORT_FILE, str(server.server_address[1]).encode())
server.serve_forever()
