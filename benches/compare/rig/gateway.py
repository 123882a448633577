"""Rows about the gateway, beside nginx and mitmproxy in front of the same upstream."""

import os, shutil, subprocess, sys

from .ground import KEY, Home, Unmeasured, cpu_seconds, free_port, median, until
from .table import row, unmeasured, us

# What hallpass does for each request and nginx can do: a line of log, the key swapped, no buffering.
NGINX = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.err;
events {{ worker_connections 4096; }}
http {{
  access_log {dir}/nginx.access;
  client_body_temp_path {dir}/nb; proxy_temp_path {dir}/np; fastcgi_temp_path {dir}/nf; uwsgi_temp_path {dir}/nu; scgi_temp_path {dir}/ns;
  keepalive_requests 1000000000; tcp_nodelay on;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 128; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port}; location /bench/ {{
    proxy_pass http://up/; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    proxy_set_header Authorization "Bearer {key}";
  }} }}
}}
"""
BODY = '{"model":"bench-model","messages":[{"role":"user","content":"hello"}]}'
STREAM = '{"model":"bench-model","stream":true}'


def listening(port):
    import socket
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Yard:
    """The upstream, hallpass, nginx, and mitmproxy where it was asked for."""

    def __init__(self, ground):
        self.ground, self.upstream = ground, free_port()
        ground.start([ground.load, "upstream", f"port={self.upstream}"])
        until(lambda: listening(self.upstream), 5, "the upstream did not start")
        self.home = Home(ground, self.upstream)
        self.token, self.gateway = self.home.mint()
        self.direct = {"target": f"127.0.0.1:{self.upstream}", "path": "/v1/models", "token": KEY}
        self.ours = {"target": self.gateway, "path": "/bench/v1/models", "token": self.token}

    def nginx(self):
        if not shutil.which("nginx"):
            raise Unmeasured("nginx is not installed")
        port = free_port()
        path = self.ground.write("nginx.conf", NGINX.format(dir=self.ground.dir, upstream=self.upstream, port=port, key=KEY).encode())
        self.nginx_process = self.ground.start(["nginx", "-p", self.ground.dir, "-c", path])
        until(lambda: listening(port), 5, "nginx did not start")
        return {"target": f"127.0.0.1:{port}", "path": "/bench/v1/models", "token": KEY}

    def nginx_pids(self):
        pid = self.nginx_process.pid
        return [pid] + [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]

    def mitmproxy(self):
        if not self.ground.options.mitmproxy:
            raise Unmeasured("asked for with --mitmproxy only")
        place = os.path.join(self.ground.options.cache, "mitmproxy")
        tool = os.path.join(place, "bin", "mitmdump")
        if not os.path.exists(tool):
            subprocess.run([sys.executable, "-m", "venv", place], check=True, capture_output=True)
            done = subprocess.run([f"{place}/bin/pip", "install", "-q", "mitmproxy"], capture_output=True, text=True)
            if done.returncode != 0:
                raise Unmeasured(f"mitmproxy cannot be installed: {done.stderr.strip()[-200:]}")
        port = free_port()
        self.mitm = self.ground.start([tool, "-q", "--listen-host", "127.0.0.1", "-p", str(port), "--mode",
                                       f"reverse:http://127.0.0.1:{self.upstream}", "--set", f"confdir={self.ground.path('mitm')}",
                                       "--modify-headers", f"/~q/Authorization/Bearer {KEY}"])
        until(lambda: listening(port), 60, "mitmproxy did not start")
        return {"target": f"127.0.0.1:{port}", "path": "/v1/models", "token": KEY}


def rows(ground):
    yard = Yard(ground)
    nginx = yard.nginx()
    yield from latency(ground, yard, nginx)
    yield from cpu(ground, yard, nginx)
    yield from events(ground, yard, nginx)
    yard.home.down()
    ground.stop(yard.nginx_process)


def latency(ground, yard, nginx):
    rounds, count = (1, 5_000) if ground.options.quick else (5, 20_000)
    for name, more in [("GET", {}), ("POST", {"method": "POST", "body": BODY})]:
        to = lambda base: dict(base, **more, path=base["path"].replace("models", "chat/completions")) if more else base
        runs = {"direct": [], "nginx": [], "ours": []}
        for _ in range(rounds):
            for who, base in [("direct", yard.direct), ("nginx", nginx), ("ours", yard.ours)]:
                runs[who].append(ground.measure("http", **to(base), count=count, conns=1))
        at = lambda who, what: median([r[what] for r in runs[who]])
        direct = at("direct", "p50_us")
        theirs, ours = at("nginx", "p50_us") - direct, at("ours", "p50_us") - direct
        yield row(f"gateway, {name}, kept connection: added p50 (p99 in all)",
                  f"nginx {us(theirs)} ({us(at('nginx', 'p99_us'))})", f"{us(ours)} ({us(at('ours', 'p99_us'))})",
                  ours / theirs, "at most 1.25 x, aim below 1", ours / theirs <= 1.25, note=f"direct {us(direct)}")


def cpu(ground, yard, nginx):
    count = 20_000 if ground.options.quick else 100_000

    def per_request(base, pids, conns=64, count=count):
        before = cpu_seconds(*pids)
        sent = ground.measure("http", **base, count=count, conns=conns)["sent"]
        return (cpu_seconds(*pids) - before) / sent * 1e6

    theirs = median([per_request(nginx, yard.nginx_pids()) for _ in range(3)])
    ours = median([per_request(yard.ours, [yard.home.pid]) for _ in range(3)])
    yield row("gateway CPU per request, 64 connections", f"nginx {us(theirs)}", us(ours), ours / theirs, "at most 1.5 x",
              ours / theirs <= 1.5)
    try:
        mitm = yard.mitmproxy()
        theirs = per_request(mitm, [yard.mitm.pid], conns=8, count=4_000)
        ground.stop(yard.mitm)
        yield row("gateway CPU per request", f"mitmproxy {us(theirs)}", us(ours), ours / theirs, "at most 1/20",
                  ours / theirs <= 1 / 20)
    except Unmeasured as why:
        yield unmeasured("gateway CPU per request vs mitmproxy", str(why))


def events(ground, yard, nginx):
    streams = 50 if ground.options.quick else 300
    runs = {"direct": [], "nginx": [], "ours": []}
    for _ in range(1 if ground.options.quick else 3):
        for who, base in [("direct", yard.direct), ("nginx", nginx), ("ours", yard.ours)]:
            base = dict(base, path=base["path"].replace("models", "chat/completions"))
            runs[who].append(ground.measure("sse", **base, method="POST", body=STREAM, streams=streams,
                                            upstream=yard.direct["target"]))
    at = lambda who, what: median([r[what]["p50_us"] for r in runs[who]])
    added = {what: [at(who, what) - at("direct", what) for who in ("nginx", "ours")] for what in ("first", "event")}
    theirs, ours = added["first"]
    yield row("SSE, connect to first event: added p50", f"nginx {us(theirs)}", us(ours), ours / theirs, "at most 1.5 x",
              ours / theirs <= 1.5, note=f"direct {us(at('direct', 'first'))}")
    theirs, ours = added["event"]
    yield row("SSE, each further event: added p50", f"nginx {us(theirs)}", us(ours), ours / theirs, "", None)
    held = [sum(r["coalesced"] for r in runs[who]) for who in ("nginx", "ours")]
    total = sum(r["events"] for r in runs["ours"])
    yield row("SSE events that came together or late", f"nginx {held[0]}", f"{held[1]} of {total:,}", None, "none", held[1] == 0)
