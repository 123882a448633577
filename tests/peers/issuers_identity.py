"""Stand-ins for what believes this device: each verifies our assertion with PyJWT and answers as its vendor documents.

Built from: Anthropic's exchange and headers, PyPI anthropic 2.12.0 lib/credentials and the WIF reference; OpenAI's, PyPI openai
3.54.0 auth/_workload.py and developers.openai.com's reference of the exchange; OpenRouter's POST /api/v1/oauth/token (RFC 8693);
Google's discovery documents sts v1 and iamcredentials v1; IAM Roles Anywhere's signing process (user guide;
aws/rolesanywhere-credential-helper 1.8.0). An assertion is taken once: its jti is remembered.

  issuers_identity.py PORT_FILE JWKS_FILE CERTIFICATE_FILE
"""

import base64
import datetime
import hashlib
import json
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

ISSUER = "https://hallpass.example/d1"
PROVIDER = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/d"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT = "urn:ietf:params:oauth:token-type:jwt"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
port_file, jwks_file, certificate_file = sys.argv[1:4]
seen, given = set(), {}


class Refused(Exception):
    pass


def must(what, why):
    if not what:
        raise Refused(why)


def assertion(text, audience):
    header = jwt.get_unverified_header(text)
    keys = {key["kid"]: key for key in json.load(open(jwks_file))["keys"]}
    must(header.get("kid") in keys, "no such key")
    key = keys[header["kid"]]
    must(header["alg"] == key["alg"], "another algorithm than the key's")
    claims = jwt.decode(text, jwt.PyJWK(key).key, algorithms=[key["alg"]], audience=audience, issuer=ISSUER,
                        options={"require": ["exp", "iat", "sub", "jti", "aud", "iss"]})
    must(claims["exp"] - claims["iat"] <= 3600, "it lives too long")
    must(claims["jti"] not in seen, "it was used before")
    must(claims["sub"].split("/")[1] == "bot", "no rule for this principal")
    seen.add(claims["jti"])
    return claims


def give(token, **what):
    given[token] = what
    return token


def fresh(start):
    return start + hashlib.sha256(str(len(seen)).encode() + str(len(given)).encode()).hexdigest()


def anthropic(handler, body):
    body = json.loads(body)
    must(body["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer", "grant_type")
    must(set(body) <= {"grant_type", "assertion", "federation_rule_id", "organization_id", "service_account_id", "workspace_id"},
         "a member that it does not know")
    must((body["federation_rule_id"], body["organization_id"]) == ("fdrl_1", "00000000-0000-4000-8000-000000000001"), "ids")
    beta = handler.headers["anthropic-beta"].replace(" ", "").split(",")
    must({"oauth-2025-04-20", "oidc-federation-2026-04-01"} <= set(beta), "anthropic-beta")
    claims = assertion(body["assertion"], "https://api.anthropic.com")
    left = claims["exp"] - datetime.datetime.now().timestamp()
    life = int(max(60, min(3600, 2 * left)))
    return {"access_token": give(fresh("sk-ant-" + "oat01-"), to="anthropic"), "token_type": "Bearer", "expires_in": life,
            "scope": "workspace:inference"}


def messages(handler, body):
    token = handler.headers["authorization"].removeprefix("Bearer ")
    must(given.get(token, {}).get("to") == "anthropic", "no such token")
    must("oauth-2025-04-20" in handler.headers["anthropic-beta"], "anthropic-beta")
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "strict-1", "stop_reason": "end_turn",
            "stop_sequence": None, "content": [{"type": "text", "text": "pong"}], "usage": {"input_tokens": 1, "output_tokens": 1}}


def openai(handler, body):
    must(handler.headers["content-type"].startswith("application/json"), "JSON")
    body = json.loads(body)
    must(set(body) == {"grant_type", "subject_token", "subject_token_type", "identity_provider_id", "service_account_id"},
         f"members {sorted(body)}")
    must(body["grant_type"] == EXCHANGE and body["subject_token_type"] == JWT, "types")
    must((body["identity_provider_id"], body["service_account_id"]) == ("wip_1", "sa_1"), "ids")
    assertion(body["subject_token"], "https://api.openai.com/v1")
    return {"access_token": give(fresh("oa-"), to="openai"), "token_type": "Bearer", "expires_in": 3600,
            "issued_token_type": ACCESS_TOKEN}


def models(handler, body):
    token = handler.headers["authorization"].removeprefix("Bearer ")
    must(given.get(token, {}).get("to") == "openai", "no such token")
    return {"object": "list", "data": [{"id": "strict-1", "object": "model", "created": 1, "owned_by": "x"}]}


def form(handler, body):
    must(handler.headers["content-type"].startswith("application/x-www-form-urlencoded"), "a form")
    return dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))


def openrouter(handler, body):
    said = form(handler, body)
    must(said["grant_type"] == EXCHANGE and said["subject_token_type"] == JWT, "types")
    claims = assertion(said["subject_token"], "https://openrouter.ai/api/v1")
    life = int(min(900, claims["exp"] - datetime.datetime.now().timestamp()))
    return {"access_token": give(fresh("or-"), to="openrouter"), "token_type": "Bearer", "expires_in": life,
            "issued_token_type": ACCESS_TOKEN}


def sts(handler, body):
    said = form(handler, body)
    must(said["grant_type"] == EXCHANGE and said["requested_token_type"] == ACCESS_TOKEN, "types")
    options = json.loads(said.get("options", "{}"))
    if "accessBoundary" in options:
        must(said["subject_token_type"] == ACCESS_TOKEN and given[said["subject_token"]]["to"] == "account", "a token of Google's")
        rules = options["accessBoundary"]["accessBoundaryRules"]
        must(1 <= len(rules) <= 10 and all(rule["availablePermissions"][0].startswith("inRole:") for rule in rules), "rules")
        token = give(fresh("ya29.b-"), to="bucket", rules=rules)
        # Google leaves expires_in out for a service account's token.
        return {"access_token": token, "token_type": "Bearer", "issued_token_type": ACCESS_TOKEN}
    must(said["subject_token_type"] == JWT and said["audience"] == PROVIDER, "the provider")
    assertion(said["subject_token"], "https:" + PROVIDER)
    return {"access_token": give(fresh("ya29.f-"), to="federated", scope=said["scope"]), "token_type": "Bearer",
            "expires_in": 3600, "issued_token_type": ACCESS_TOKEN}


def impersonate(handler, body):
    token = handler.headers["authorization"].removeprefix("Bearer ")
    must(given[token]["to"] == "federated" and given[token]["scope"].endswith(("/auth/iam", "/auth/cloud-platform")), "the scope")
    body = json.loads(body)
    life = int(body.get("lifetime", "3600s").removesuffix("s"))
    must(0 < life <= 3600 and body["scope"], "lifetime and scope")
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=life)
    return {"accessToken": give(fresh("ya29.s-"), to="account", scope=body["scope"]),
            "expireTime": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}


def bucket(handler, body):
    token = handler.headers["authorization"].removeprefix("Bearer ")
    must(given.get(token, {}).get("to") in ("account", "bucket"), "no such token")
    return {"kind": "storage#bucket", "name": "b1"}


def roles_anywhere(handler, body):
    """The documented algorithm, from the request as it came: canonical request, string to sign, the certificate's key."""
    path, _, query = handler.path.partition("?")
    said = handler.headers["authorization"]
    algorithm, _, rest = said.partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    serial, date, region, service, end = parts["Credential"].split("/")
    must((region, service, end) == ("eu-west-1", "rolesanywhere", "aws4_request"), "scope")
    signed = parts["SignedHeaders"].split(";")
    must(signed == sorted(signed) and {"host", "x-amz-date", "x-amz-x509"} <= set(signed), "signed headers")
    der = base64.b64decode(handler.headers["x-amz-x509"])
    certificate = x509.load_der_x509_certificate(der)
    must(str(certificate.serial_number) == serial, "the serial number, in decimal")
    trusted = x509.load_pem_x509_certificates(open(certificate_file, "rb").read())
    certificate.verify_directly_issued_by(trusted[-1])
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    must(not constraints.ca, "an end entity")
    must(certificate.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature, "digitalSignature")
    lines = "".join(f"{name}:{' '.join(handler.headers[name].split())}\n" for name in signed)
    query = "&".join(sorted(query.split("&")))
    canonical = "\n".join(["POST", path, query, lines, ";".join(signed), hashlib.sha256(body).hexdigest()])
    stamp = handler.headers["x-amz-date"]
    must(stamp.startswith(date), "the date")
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.strptime(stamp + "+0000", "%Y%m%dT%H%M%SZ%z")
    must(abs(age.total_seconds()) < 300, "the time")
    to_sign = "\n".join([algorithm, stamp, f"{date}/{region}/{service}/{end}", hashlib.sha256(canonical.encode()).hexdigest()])
    key, signature = certificate.public_key(), bytes.fromhex(parts["Signature"])
    if isinstance(key, ec.EllipticCurvePublicKey):
        must(algorithm == "AWS4-X509-ECDSA-SHA256", "algorithm")
        key.verify(signature, to_sign.encode(), ec.ECDSA(hashes.SHA256()))
    else:
        must(algorithm == "AWS4-X509-RSA-SHA256", "algorithm")
        key.verify(signature, to_sign.encode(), padding.PKCS1v15(), hashes.SHA256())
    asked = json.loads(body)
    must(900 <= asked["durationSeconds"] <= 43200 and len(asked["roleSessionName"]) <= 64, "duration and name")
    role = urllib.parse.parse_qs(query)["roleArn"][0]
    ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=asked["durationSeconds"])
    keys = {"accessKeyId": "ASIA" + "X" * 16, "secretAccessKey": "s" * 40, "sessionToken": fresh("t"),
            "expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return {"credentialSet": [{"credentials": keys, "roleArn": role}], "subjectArn": "arn:aws:rolesanywhere:::subject/1"}


def entra(handler, body):
    """Microsoft's "certificate credentials": x5t#S256 names the certificate, whose key signed."""
    said = form(handler, body)
    must(said["grant_type"] == "client_credentials" and said["scope"] == "https://graph.example/.default", "grant and scope")
    must(said["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "the type")
    certificate = x509.load_pem_x509_certificate(open(certificate_file.replace("ca.pem", "rs256.pem"), "rb").read())
    hashed = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode()
    text = said["client_assertion"]
    header = jwt.get_unverified_header(text)
    must(header["x5t#S256"] == hashed and header["alg"] == "RS256", "the certificate")
    url = f"http://{handler.headers['host']}/tenant-1/oauth2/v2.0/token"
    claims = jwt.decode(text, certificate.public_key(), algorithms=["RS256"], audience=url, issuer="app-1")
    must(claims["sub"] == "app-1" and claims["jti"] not in seen, "sub and jti")
    seen.add(claims["jti"])
    return {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": give(fresh("eyJ"), to="entra")}


def bao(handler, body):
    path, token = handler.path, handler.headers["x-vault-token"]
    said = json.loads(body) if body else {}
    if path == "/v1/auth/jwt/login":
        must(set(said) == {"role", "jwt"} and said["role"] == "hallpass", "role and jwt")
        assertion(said["jwt"], "vault")
        login = give(fresh("s."), to="bao", made=[])
        return {"auth": {"client_token": login, "accessor": fresh("a."), "lease_duration": 3600, "token_policies": ["default", "giver"]}}
    must(given.get(token, {}).get("to") == "bao", "no such token")
    if path == "/v1/auth/token/create":
        must(handler.command == "POST" and said["no_default_policy"] and not said["renewable"] and said["meta"]["principal"] == "bot",
             "what hallpass sends")
        life = int(said["ttl"].removesuffix("s"))
        must(said["explicit_max_ttl"] == said["ttl"] and 0 < life <= 3600, "ttl")
        child = give(fresh("s."), to="child")
        given[token]["made"].append(child)
        return {"auth": {"client_token": child, "accessor": fresh("a."), "lease_duration": life, "token_policies": said["policies"]}}
    if path == "/v1/database/creds/readonly":
        must(handler.command == "GET", "GET")
        return {"lease_id": "database/creds/readonly/" + fresh("l"), "lease_duration": 600, "renewable": True,
                "data": {"username": "v-bot", "password": fresh("p")}, "auth": None}
    must(path == "/v1/auth/token/revoke-self" and handler.command == "POST", "nothing there")
    for child in given.pop(token)["made"]:
        del given[child]
    print("revoked", flush=True)
    return {}


WAYS = {"/v1/oauth/token": anthropic, "/v1/messages": messages, "/openai/oauth/token": openai, "/openai/v1/models": models,
        "/openrouter/oauth/token": openrouter, "/sts/v1/token": sts, "/sessions": roles_anywhere, "/tenant-1/oauth2/v2.0/token": entra, "/storage/v1/b/b1": bucket}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0]
        way = impersonate if path.endswith(":generateAccessToken") else WAYS.get(path)
        way = way or (bao if "x-vault-request" in self.headers else None)
        try:
            must(way, f"nothing at {path}")
            status, answer = 201 if way is roles_anywhere else 200, way(self, body)
        except Exception as error:
            print(f"refused {path}: {type(error).__name__} {error}", flush=True)
            status, answer = 400, {"error": "invalid_grant"}
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(port_file, "w") as out:
    out.write(str(server.server_port))
server.serve_forever()
