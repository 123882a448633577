"""Strict servers on loopback for the clients of tools.sh, all over TLS. Each takes one key and records who came.

    tools_server.py FOLDER      FOLDER/keys/{git,cargo,kubectl,docker,index} are the keys, FOLDER/tls.{crt,key} the
                                certificate; FOLDER/ports/NAME appears when NAME listens, FOLDER/tools.record is JSON lines

git: `git http-backend` behind Basic. cargo: a sparse index with `auth-required` and its web API (Cargo book, "Registry
Index", "Registry Web API"), the token bare in Authorization. kubectl: `/version` for a bearer. docker: the token server
that docker-registry sends its clients to (distribution's "Token Authentication": Basic in, a JWT for what was asked
out). index: PEP 503 with one wheel, behind Basic.
"""

import base64, hashlib, http.server, io, json, os, ssl, subprocess, sys, threading, time, urllib.parse, zipfile

FOLDER = sys.argv[1]
LOCK = threading.Lock()
PUBLISHED = {}


def key(name):
    return open(f"{FOLDER}/keys/{name}").read()


def basic(name):
    return "Basic " + base64.b64encode(f"jo:{key(name)}".encode()).decode()


def wheel():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("sample/__init__.py", "")
        archive.writestr("sample-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n")
        archive.writestr("sample-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: peers\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("sample-1.0.dist-info/RECORD", "")
    return file.getvalue()


WHEEL = wheel()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="application/json", **headers):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        name = self.server.name
        sent = self.headers.get("authorization") or ""
        wanted = {"git": basic, "docker": basic, "index": basic, "cargo": key, "kubectl": lambda name: f"Bearer {key(name)}"}[name](name)
        path, _, self.query = self.path.partition("?")
        with LOCK, open(f"{FOLDER}/tools.record", "a") as record:
            # pip and uv begin with the user name of the URL alone.
            some = sent not in ("", "Basic " + base64.b64encode(b"jo:").decode())
            said = {"service": name, "method": self.command, "path": path, "key_ok": sent == wanted, "sent": some}
            record.write(json.dumps(said) + "\n")
        if sent != wanted:
            ask = 'Basic realm="here"' if wanted.startswith("Basic") else 'Cargo login_url="https://x"'
            return self.answer(401, {"kind": "Status", "code": 401}, www_authenticate=ask)
        getattr(self, name)(path)

    do_GET = do_POST = do_PUT = do_HEAD = serve

    def git(self, path):
        env = {"GIT_PROJECT_ROOT": f"{FOLDER}/srv", "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "jo", "PATH": os.environ["PATH"],
               "REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": self.query, "GIT_CONFIG_NOSYSTEM": "1",
               "CONTENT_TYPE": self.headers.get("content-type") or "", "CONTENT_LENGTH": str(len(self.body)),
               "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding") or "", "GIT_PROTOCOL": self.headers.get("git-protocol") or ""}
        said = subprocess.run(["git", "http-backend"], env=env, input=self.body, capture_output=True).stdout
        head, _, body = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self.answer(status, body, headers.pop("Content-Type", "text/plain"))

    def cargo(self, path):
        here = f"https://127.0.0.1:{self.server.server_port}"
        if path == "/config.json":
            return self.answer(200, {"dl": f"{here}/dl/{{crate}}/{{version}}", "api": here, "auth-required": True})
        if path == "/api/v1/crates/new":
            size = int.from_bytes(self.body[:4], "little")
            told = json.loads(self.body[4:4 + size])
            PUBLISHED[told["name"]] = (told, self.body[8 + size:])
            return self.answer(200, {"warnings": {"invalid_categories": [], "invalid_badges": [], "other": []}})
        told, crate = PUBLISHED.get(path.split("/")[2 if path.startswith("/dl/") else -1], (None, b""))
        if told is None:
            return self.answer(404)
        if path.startswith("/dl/"):
            return self.answer(200, crate, "application/octet-stream")
        line = {"name": told["name"], "vers": told["vers"], "deps": [], "features": {}, "yanked": False,
                "cksum": hashlib.sha256(crate).hexdigest()}
        self.answer(200, json.dumps(line).encode() + b"\n", "text/plain")

    def kubectl(self, path):
        self.answer(200, {"major": "1", "minor": "30", "gitVersion": "v1.30.0"})

    def docker(self, path):
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import padding
        code = lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")
        asked = urllib.parse.parse_qs(self.query or self.body.decode())
        access = [dict(zip(("type", "name", "actions"), scope.split(":"))) for scopes in asked.get("scope", []) for scope in scopes.split()]
        access = [dict(one, actions=one["actions"].split(",")) for one in access]
        der = subprocess.run(["openssl", "x509", "-in", f"{FOLDER}/tls.crt", "-outform", "DER"], capture_output=True, check=True).stdout
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        now = int(time.time())
        claims = {"iss": "peers", "sub": "jo", "aud": "registry", "exp": now + 300, "nbf": now - 5, "iat": now,
                  "jti": os.urandom(8).hex(), "access": access}
        text = ".".join(code(json.dumps(part).encode()) for part in (head, claims))
        private = serialization.load_pem_private_key(open(f"{FOLDER}/tls.key", "rb").read(), None)
        token = f"{text}.{code(private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"
        self.answer(200, {"token": token, "access_token": token, "expires_in": 300})

    def index(self, path):
        if path.endswith(".whl"):
            return self.answer(200, WHEEL, "application/octet-stream")
        if path.rstrip("/") != "/simple/sample":
            return self.answer(404)
        link = f'<a href="/files/sample-1.0-py3-none-any.whl#sha256={hashlib.sha256(WHEEL).hexdigest()}">sample-1.0-py3-none-any.whl</a>'
        self.answer(200, link.encode(), "text/html")


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{FOLDER}/tls.crt", f"{FOLDER}/tls.key")
for name in ("git", "cargo", "kubectl", "docker", "index"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.name, server.socket = name, context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(f"{FOLDER}/ports/.{name}", "w") as file:
        file.write(str(server.server_port))
    os.rename(f"{FOLDER}/ports/.{name}", f"{FOLDER}/ports/{name}")
threading.Event().wait()
