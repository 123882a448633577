#!/usr/bin/env python3
"""A strict upstream on loopback: enough of OpenAI's, Anthropic's and Gemini's APIs for their official SDKs.

Standard library only, deterministic, and suspicious. It takes the real key in the one header where the vendor
wants it and nothing else: a wrong or absent key, a key in a second place, or the text of a hallpass token
anywhere in a request (path, header, body) is answered with 401 and recorded. Every request, good or bad, becomes
one JSON line, so that a test can say what reached the upstream and what did not. No line holds a key.

Built from these published facts (no recorded answers of the vendors):
  OpenAI     API reference: POST /v1/chat/completions (object `chat.completion`; streamed as
             `data: {chat.completion.chunk}` lines up to `data: [DONE]`), POST /v1/responses (events `response.created`,
             `response.in_progress`, `response.output_item.added`, `response.content_part.added`,
             `response.output_text.delta`, `.done`, `response.content_part.done`, `response.output_item.done`,
             `response.completed`, each with `sequence_number`), POST /v1/embeddings, GET /v1/models, GET /v1/files;
             key in `Authorization: Bearer`; errors as {"error": {message, type, param, code}}.
  Anthropic  Messages API: POST /v1/messages (streamed as `message_start`, `content_block_start`, `ping`,
             `content_block_delta`, `content_block_stop`, `message_delta`, `message_stop`),
             POST /v1/messages/count_tokens, GET /v1/models; key in `x-api-key`, `anthropic-version` required;
             the SDKs from 1.0 (npm) and 2.0 (PyPI) on send it as `Authorization: Bearer`, which only --direct
             allows: behind a gateway it must arrive in the documented place;
             errors as {"type": "error", "error": {type, message}}.
  Gemini     API reference: POST /v1beta/models/MODEL:generateContent and :streamGenerateContent?alt=sse (each event a
             GenerateContentResponse), :countTokens; key in `x-goog-api-key`; errors as {"error": {code, message, status}}.
  WHATWG HTML, section 9.2 (event streams); RFC 9112 section 7.1 (chunked coding).

    upstream.py --record FILE --port-file FILE [--openai-key-file FILE] [--anthropic-key-file FILE]
                [--gemini-key-file FILE]

The keys may also come in UPSTREAM_OPENAI_KEY, UPSTREAM_ANTHROPIC_KEY and UPSTREAM_GEMINI_KEY. It listens on 127.0.0.1, on a port the
kernel chooses, writes the port to the port file once it answers, and ends with POST /_quit, SIGTERM, or its parent.
"""

import argparse
import base64
import hmac
import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hp_"
PLACES = ("authorization", "x-api-key", "x-goog-api-key")
BODY_LIMIT = 8 * 1024 * 1024
TEXT = ["The ", "upstream ", "answered ", "in ", "five."]
CREATED = 1735689600


class Record:
    """What reached this upstream, as JSON lines."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "a", encoding="utf-8", buffering=1)
        self.number = 0

    def add(self, entry):
        with self.lock:
            self.number += 1
            self.file.write(json.dumps({"n": self.number, **entry}, sort_keys=True) + "\n")


class Upstream(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, record, keys, direct):
        super().__init__(("127.0.0.1", 0), Handler)
        self.direct = direct
        self.record = record
        self.keys = keys


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "strict-upstream"
    sys_version = ""
    timeout = 30
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = do_GET

    def answer(self):
        body = self.read_body()
        if body is None:
            return
        path, _, query = self.path.partition("?")
        if path == "/_quit":
            self.send_json(200, {"ok": True})
            threading.Thread(target=self.server.shutdown, daemon=True).start()
            return
        vendor = vendor_of(path, self.headers)
        fault, where = self.judge(vendor, query, body)
        # Before the answer, so that whoever has the answer finds the line.
        self.server.record.add(
            {
                "method": self.command,
                "path": path,
                "query": bool(query),
                "vendor": vendor,
                "key_ok": fault is None,
                "key_in": where,
                "fault": fault,
                "headers": sorted({name.lower() for name in self.headers.keys()}),
                "version": self.request_version,
            }
        )
        if fault:
            self.refuse(vendor, fault)
        else:
            self.dispatch(vendor, path, body)

    def read_body(self):
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            return self.read_chunked()
        try:
            length = int(self.headers.get("content-length", "0"))
        except ValueError:
            length = -1
        if not 0 <= length <= BODY_LIMIT:
            self.close_connection = True
            self.send_json(400, {"error": {"message": "bad content-length"}})
            return None
        return self.rfile.read(length)

    def read_chunked(self):
        body = bytearray()
        while True:
            size = int(self.rfile.readline(64).split(b";")[0].strip(), 16)
            if len(body) + size > BODY_LIMIT:
                self.close_connection = True
                return None
            body += self.rfile.read(size)
            self.rfile.readline(8)
            if size == 0:
                return bytes(body)

    def judge(self, vendor, query, body):
        """Why this request is refused (None: it is not), and where a key was found."""
        found = {name: value for name in PLACES if (value := self.headers.get(name))}
        where = sorted(found)
        if any(carries_token(text) for text in [self.path, *self.headers.keys(), *self.headers.values()]):
            return "a hallpass token reached the upstream", where
        if TOKEN.encode() in body:
            return "a hallpass token reached the upstream in a body", where
        bearer = vendor == "openai" or (self.server.direct and "x-api-key" not in found)
        header, prefix = ("authorization", "Bearer ") if bearer else ("x-api-key", "")
        if vendor == "gemini":
            header, prefix = "x-goog-api-key", ""
        for name in PLACES:
            if len(self.headers.get_all(name) or []) > 1:
                return f"{name} is there twice", where
        if set(found) - {header}:
            return f"a key in a second place: {', '.join(sorted(set(found) - {header}))}", where
        if header not in found:
            return "no key", where
        key = self.server.keys.get(vendor) or ""
        if not key or not hmac.compare_digest(found[header].encode(), (prefix + key).encode()):
            return "a wrong key", where
        if any(name in query for name in ("key=", "token=")):
            return "a key in the query", where
        if self.headers.get("host", "").split(":")[0] not in ("127.0.0.1", "localhost"):
            return "a wrong Host", where
        return None, where

    def refuse(self, vendor, fault):
        if vendor == "anthropic":
            self.send_json(401, {"type": "error", "error": {"type": "authentication_error", "message": fault}})
        else:
            error = {"message": fault, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
            self.send_json(401, {"error": error})

    def dispatch(self, vendor, path, body):
        asked = {}
        if body and "json" in self.headers.get("content-type", ""):
            try:
                asked = json.loads(body)
            except ValueError:
                return self.send_json(400, {"error": {"message": "the body is no JSON", "type": "invalid_request_error"}})
        if vendor == "anthropic" and not self.headers.get("anthropic-version"):
            message = "anthropic-version: header is required"
            return self.send_json(400, {"type": "error", "error": {"type": "invalid_request_error", "message": message}})
        # Gemini's paths name the model.
        act = ROUTES.get((vendor, self.command, path.rpartition(":")[1:] if vendor == "gemini" else path))
        if act is None:
            return self.send_json(404, {"error": {"message": f"{self.command} {path} is not here", "type": "not_found"}})
        return act(self, asked)

    def send_json(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("x-request-id", "req_strict")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        return status

    def send_events(self, events):
        """An event stream, one chunk and one flush for each event."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for name, data in events:
            text = (f"event: {name}\n" if name else "") + f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n"
            raw = text.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")
        return 200


def carries_token(text):
    """True when the text holds a hallpass token, in the clear or in base64 (basic auth)."""
    if TOKEN in text:
        return True
    for word in text.split():
        try:
            if TOKEN.encode() in base64.b64decode(word + "=" * (-len(word) % 4), validate=True):
                return True
        except ValueError:
            continue
    return False


def vendor_of(path, headers):
    if path.startswith("/v1/messages") or headers.get("anthropic-version"):
        return "anthropic"
    if path.startswith("/v1beta/"):
        return "gemini"
    return "openai"


def chat(handler, asked):
    head = {"id": "chatcmpl-strict", "created": CREATED, "model": asked.get("model", "none")}
    usage = {"prompt_tokens": 5, "completion_tokens": len(TEXT), "total_tokens": 5 + len(TEXT)}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "".join(TEXT), "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return handler.send_json(200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return None, {**head, "object": "chat.completion.chunk", "choices": [choice]}

    events = [chunk({"role": "assistant", "content": ""}), *(chunk({"content": part}) for part in TEXT), chunk({}, "stop")]
    if (asked.get("stream_options") or {}).get("include_usage"):
        events.append((None, {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}))
    return handler.send_events([*events, (None, "[DONE]")])


def responses(handler, asked):
    part = {"type": "output_text", "text": "".join(TEXT), "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": len(TEXT),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 5 + len(TEXT),
    }
    done = {
        "id": "resp_strict",
        "object": "response",
        "created_at": CREATED,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": asked.get("model", "none"),
        "output": [item],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage,
    }
    if not asked.get("stream"):
        return handler.send_json(200, done)
    open_item = {**item, "status": "in_progress", "content": []}
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    at = {"item_id": "msg_1", "output_index": 0}
    text = {**at, "content_index": 0}
    events = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
        ("response.output_item.added", {"output_index": 0, "item": open_item}),
        ("response.content_part.added", {**text, "part": {**part, "text": ""}}),
        *(("response.output_text.delta", {**text, "delta": word, "logprobs": []}) for word in TEXT),
        ("response.output_text.done", {**text, "text": "".join(TEXT), "logprobs": []}),
        ("response.content_part.done", {**text, "part": part}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
        ("response.completed", {"response": done}),
    ]
    return handler.send_events([(n, {"type": n, "sequence_number": i, **data}) for i, (n, data) in enumerate(events)])


def embeddings(handler, asked):
    asked_for = asked.get("input", "")
    count = len(asked_for) if isinstance(asked_for, list) else 1
    values = [0.25, -0.5, 0.75]
    if asked.get("encoding_format") == "base64":
        import struct

        values = base64.b64encode(struct.pack("<3f", *values)).decode()
    data = [{"object": "embedding", "index": i, "embedding": values} for i in range(count)]
    usage = {"prompt_tokens": count, "total_tokens": count}
    return handler.send_json(200, {"object": "list", "model": asked.get("model", "none"), "data": data, "usage": usage})


def openai_models(handler, _):
    model = {"id": "strict-1", "object": "model", "created": CREATED, "owned_by": "peers"}
    return handler.send_json(200, {"object": "list", "data": [model]})


def openai_files(handler, _):
    return handler.send_json(200, {"object": "list", "data": [], "has_more": False})


def messages(handler, asked):
    usage = {"input_tokens": 5, "output_tokens": len(TEXT)}
    whole = {
        "id": "msg_strict",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model", "none"),
        "content": [{"type": "text", "text": "".join(TEXT)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }
    if not isinstance(asked.get("max_tokens"), int):
        error = {"type": "invalid_request_error", "message": "max_tokens: Field required"}
        return handler.send_json(400, {"type": "error", "error": error})
    if not asked.get("stream"):
        return handler.send_json(200, whole)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    events = [
        ("message_start", {"message": begun}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("ping", {}),
        *(("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": word}}) for word in TEXT),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage}),
        ("message_stop", {}),
    ]
    return handler.send_events([(name, {"type": name, **data}) for name, data in events])


def count_tokens(handler, _):
    return handler.send_json(200, {"input_tokens": 5})


def anthropic_models(handler, _):
    model = {"id": "strict-1", "type": "model", "display_name": "Strict 1", "created_at": "2025-01-01T00:00:00Z"}
    return handler.send_json(200, {"data": [model], "has_more": False, "first_id": "strict-1", "last_id": "strict-1"})


def gemini_part(text, last):
    whole = {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}], "modelVersion": "strict-1"}
    if last:
        whole["candidates"][0]["finishReason"] = "STOP"
        whole["usageMetadata"] = {"promptTokenCount": 5, "candidatesTokenCount": len(TEXT), "totalTokenCount": 5 + len(TEXT)}
    return whole


def generate(handler, _):
    return handler.send_json(200, gemini_part("".join(TEXT), True))


def stream_generate(handler, _):
    return handler.send_events([(None, gemini_part(word, word == TEXT[-1])) for word in TEXT])


def count_gemini(handler, _):
    return handler.send_json(200, {"totalTokens": 5})


ROUTES = {
    ("gemini", "POST", (":", "generateContent")): generate,
    ("gemini", "POST", (":", "streamGenerateContent")): stream_generate,
    ("gemini", "POST", (":", "countTokens")): count_gemini,
    ("openai", "POST", "/v1/chat/completions"): chat,
    ("openai", "POST", "/v1/responses"): responses,
    ("openai", "POST", "/v1/embeddings"): embeddings,
    ("openai", "GET", "/v1/models"): openai_models,
    ("openai", "GET", "/v1/files"): openai_files,
    ("anthropic", "POST", "/v1/messages"): messages,
    ("anthropic", "POST", "/v1/messages/count_tokens"): count_tokens,
    ("anthropic", "GET", "/v1/models"): anthropic_models,
}


def key_from(file, variable):
    value = os.environ.pop(variable, "")
    if file:
        with open(file, encoding="utf-8") as f:
            value = f.read()
    return value.strip()


def end_with_parent(server):
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    server.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", required=True)
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--openai-key-file")
    parser.add_argument("--anthropic-key-file")
    parser.add_argument("--gemini-key-file")
    parser.add_argument("--direct", action="store_true", help="the SDKs come straight here, with the key")
    args = parser.parse_args()
    keys = {
        "openai": key_from(args.openai_key_file, "UPSTREAM_OPENAI_KEY"),
        "anthropic": key_from(args.anthropic_key_file, "UPSTREAM_ANTHROPIC_KEY"),
        "gemini": key_from(args.gemini_key_file, "UPSTREAM_GEMINI_KEY"),
    }
    if not any(keys.values()):
        sys.exit("upstream.py: no key given, so nothing could be right")
    server = Upstream(Record(args.record), keys, args.direct)
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    threading.Thread(target=end_with_parent, args=(server,), daemon=True).start()
    ready = args.port_file + ".new"
    with open(ready, "w", encoding="utf-8") as f:
        f.write(str(server.server_address[1]))
    os.replace(ready, args.port_file)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
