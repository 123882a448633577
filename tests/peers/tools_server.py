"""Strict servers on loopback for the clients of tools.sh, all over TLS. Each takes one key and records who came.

    tools_server.py FOLDER      FOLDER/keys/NAME are the keys, FOLDER/tls.{crt,key} the certificate, FOLDER/client.crt the
                                only client's; FOLDER/ports/NAME appears when NAME listens, FOLDER/tools.record is JSON lines

git, git2, gitb: `git http-backend` behind Basic, and behind a bearer. cargo: a sparse index with `auth-required` and its web
API (Cargo book, "Registry Index", "Registry Web API"), the token bare in Authorization. kubectl: `/version` for a bearer;
kubecert: for a client's certificate. docker, helm, identity: the token server that docker-registry sends its clients to
(distribution's "Token Authentication": Basic, or a refresh token, in; a JWT for what was asked out). index, index2: PEP 503
with one wheel, behind Basic. npm, pnpm: a package and its tarball, behind a bearer. twine: the legacy upload, behind Basic.
terraform: service discovery and the module registry protocol, behind a bearer. bundler: the compact index and a
gem, behind Basic. gitlab: `GET /api/v4/version`. sts: Google's
token exchange (RFC 8693).
"""

import base64, hashlib, http.server, io, json, os, ssl, subprocess, sys, tarfile, threading, time, urllib.parse, zipfile

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


def tarball(name, text):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
    return file.getvalue()


PACKAGE = tarball("package/package.json", b'{"name":"sample","version":"1.0.0"}')
MODULE = tarball("main.tf", b'output "one" {\n  value = 1\n}\n')
# Whom each service takes: how its key comes. The others look at the request themselves.
COMES = {"git": basic, "git2": basic, "docker": basic, "helm": basic, "index": basic, "index2": basic, "cargo": key, "twine": basic,
         "bundler": basic}
BEARERS = ("gitb", "kubectl", "npm", "pnpm", "terraform")
OPEN = ("/.well-known/terraform.json", "/files/module.tar.gz", "/v1/introspect")


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
        path, _, self.query = self.path.partition("?")
        sent = self.headers.get("authorization") or ""
        wanted = f"Bearer {key(name)}" if name in BEARERS else COMES.get(name, key)(name)
        form = urllib.parse.parse_qs(self.body.decode(errors="replace"))
        if name == "kubecert":
            sent = wanted if self.connection.getpeercert() else ""
        elif name == "identity":
            sent = form.get("refresh_token", [""])[0]
        elif name == "sts":
            sent = form.get("subject_token", [""])[0]
        elif name == "gitlab":
            sent = self.headers.get("private-token") or ""
        with LOCK, open(f"{FOLDER}/tools.record", "a") as record:
            # pip and uv begin with the user name of the URL alone.
            some = sent not in ("", "Basic " + base64.b64encode(b"jo:").decode())
            said = {"service": name, "method": self.command, "path": path, "key_ok": sent == wanted, "sent": some}
            record.write(json.dumps(said) + "\n")
        if sent != wanted and path not in OPEN:
            ask = 'Basic realm="here"' if wanted.startswith("Basic") else 'Cargo login_url="https://x"'
            return self.answer(401, {"kind": "Status", "code": 401}, www_authenticate=ask)
        getattr(self, {"git2": "git", "gitb": "git", "kubecert": "kubectl", "identity": "docker", "helm": "docker", "index2": "index",
                       "pnpm": "npm"}.get(name, name))(path)

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


    def npm(self, path):
        if path.endswith(".tgz"):
            return self.answer(200, PACKAGE, "application/octet-stream")
        if path != "/sample":
            return self.answer(404)
        dist = {"tarball": f"https://127.0.0.1:{self.server.server_port}/sample/-/sample-1.0.0.tgz",
                "shasum": hashlib.sha1(PACKAGE).hexdigest(),
                "integrity": "sha512-" + base64.b64encode(hashlib.sha512(PACKAGE).digest()).decode()}
        one = {"name": "sample", "version": "1.0.0", "dist": dist}
        self.answer(200, {"name": "sample", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": one}})

    def twine(self, path):
        self.answer(200 if self.command == "POST" and b"file_upload" in self.body else 400)

    def terraform(self, path):
        if path == "/.well-known/terraform.json":
            return self.answer(200, {"modules.v1": "/v1/modules/"})
        if path == "/files/module.tar.gz":
            return self.answer(200, MODULE, "application/gzip")
        if path == "/v1/modules/acme/web/aws/versions":
            return self.answer(200, {"modules": [{"versions": [{"version": "1.0.0"}]}]})
        if path == "/v1/modules/acme/web/aws/1.0.0/download":
            where = f"https://127.0.0.1:{self.server.server_port}/files/module.tar.gz?archive=tar.gz"
            return self.answer(204, x_terraform_get=where)
        self.answer(404)

    def bundler(self, path):
        gem = open(f"{FOLDER}/sample-1.0.0.gem", "rb").read()
        info = f"---\n1.0.0 |checksum:{hashlib.sha256(gem).hexdigest()}\n".encode()
        versions = f"created_at: 2026-01-01T00:00:00Z\n---\nsample 1.0.0 {hashlib.md5(info).hexdigest()}\n".encode()
        said = {"/versions": versions, "/info/sample": info, "/gems/sample-1.0.0.gem": gem}.get(path)
        self.answer(404 if said is None else 200, said or b"", "text/plain")

    def gitlab(self, path):
        self.answer(200 if path == "/api/v4/version" else 404, {"version": "18.0.0", "revision": "a"})

    def sts(self, path):
        if path == "/v1/introspect":
            return self.answer(200, {"active": True, "username": "jo"})
        self.answer(200, {"access_token": "exchanged", "token_type": "Bearer", "expires_in": 3600,
                          "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{FOLDER}/tls.crt", f"{FOLDER}/tls.key")
only_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
only_client.load_cert_chain(f"{FOLDER}/tls.crt", f"{FOLDER}/tls.key")
only_client.load_verify_locations(f"{FOLDER}/client.crt")
only_client.verify_mode = ssl.CERT_OPTIONAL
for name in (*COMES, *BEARERS, "kubecert", "identity", "gitlab", "sts"):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = only_client if name == "kubecert" else context
    server.name, server.socket = name, tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(f"{FOLDER}/ports/.{name}", "w") as file:
        file.write(str(server.server_port))
    os.rename(f"{FOLDER}/ports/.{name}", f"{FOLDER}/ports/{name}")
threading.Event().wait()
