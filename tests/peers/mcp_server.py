#!/usr/bin/env python3
"""An MCP server that wants one key and says which one it had: on standard input and output, or over HTTP.

    mcp_server.py stdio VARIABLE KEY-FILE RECORD     the key in an environment variable
    mcp_server.py http KEY-FILE RECORD PORT-FILE     the key in Authorization: Bearer, at every request

Each `initialize` (and each request over HTTP) becomes a line of RECORD: {"via", "method", "key_ok"}. No line holds a key.
Built from the Model Context Protocol, revision 2025-06-18: lifecycle, transports (stdio; streamable HTTP with JSON
answers), tools/list.
"""

import hmac
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def result(message):
    method, params = message.get("method"), message.get("params") or {}
    if method == "initialize":
        version = params.get("protocolVersion", "2025-06-18")
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "peer", "version": "1"}}
    if method == "tools/list":
        schema = {"type": "object", "properties": {}}
        return {"tools": [{"name": "peer_ping", "description": "answers", "inputSchema": schema}]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": "pong"}]}
    return {}


def note(record, via, method, ok):
    with open(record, "a", encoding="utf-8") as f:
        f.write(json.dumps({"via": via, "method": method, "key_ok": ok}) + "\n")


def same(one, other):
    return hmac.compare_digest((one or "").encode(), other.encode())


def stdio(variable, key_file, record):
    with open(key_file, encoding="utf-8") as f:
        ok = same(os.environ.get(variable), f.read())
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "initialize":
            note(record, "stdio", "initialize", ok)
        if "id" in message and "method" in message:
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result(message)}), flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        ok = same(self.headers.get("authorization"), "Bearer " + self.server.key)
        message = json.loads(body)
        note(self.server.record, "http", message.get("method"), ok)
        if not ok:
            return self.answer(401, {"error": "a wrong key"})
        if "id" not in message:
            return self.answer(202, None)
        return self.answer(200, {"jsonrpc": "2.0", "id": message["id"], "result": result(message)})

    def do_GET(self):
        self.answer(405, None)

    do_DELETE = do_GET

    def answer(self, status, value):
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def http(key_file, record, port_file):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with open(key_file, encoding="utf-8") as f:
        server.key = f.read()
    server.record = record
    with open(port_file + ".new", "w", encoding="utf-8") as f:
        f.write(str(server.server_address[1]))
    os.replace(port_file + ".new", port_file)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    {"stdio": stdio, "http": http}[sys.argv[1]](*sys.argv[2:])
