"""Rows about the API socket: ping, mint, and ten thousand clients at once."""

import os

from .ground import PING, Home, Unmeasured, free_port, median
from .table import row, us

MINT = b'{"what":{"issuer":"bench","scopes":["models:read"]},"as":"bot"}'


def mint_request():
    head = f"POST /v1/mint HTTP/1.1\r\nhost: hallpass\r\ncontent-type: application/json\r\ncontent-length: {len(MINT)}\r\n\r\n"
    return head.encode() + MINT


def beside(ground, kind, name, request, home, **how):
    """Times hallpass and an echo of the same bytes in turns; the medians of the percentiles of all turns."""
    rounds = 1 if ground.options.quick else 5
    answer = ground.path(f"{name}.answer")
    ground.measure("client", target=home.socket, request=request, count=1, save=answer)
    path = ground.path(f"{name}.{kind}.sock")
    echo = ground.start([ground.load, f"echo-{kind}", f"socket={path}", f"request={request}", f"answer={answer}"])
    from .ground import until
    until(lambda: os.path.exists(path), 5, "the echo did not start")
    base, ours = [], []
    for _ in range(rounds):
        base.append(ground.measure("client", target=path, request=request, **how))
        ours.append(ground.measure("client", target=home.socket, request=request, **how))
    ground.stop(echo)
    pick = lambda runs, what: median([run[what] for run in runs])
    return [{what: pick(runs, what) for what in ("p50_us", "p99_us")} for runs in (base, ours)]


def ping(ground):
    home = Home(ground, free_port())
    request = ground.write("ping.request", PING)
    base, ours = beside(ground, "std", "ping", request, home, count=20_000)
    home.down()
    ratio = ours["p50_us"] / base["p50_us"]
    yield row("API ping, kept connection, p50 (p99)", f"std echo {us(base['p50_us'])} ({us(base['p99_us'])})",
              f"{us(ours['p50_us'])} ({us(ours['p99_us'])})", ratio, "at most 2 x", ratio <= 2)


def mint(ground):
    home = Home(ground, free_port())
    request = ground.write("mint.request", mint_request())
    base, ours = beside(ground, "std", "mint", request, home, count=3_000, fresh=1)
    home.down()
    added = ours["p50_us"] - base["p50_us"]
    yield row("mint: connect, process check, policy, lease, audit; p50", f"connect + std echo {us(base['p50_us'])}",
              f"{us(ours['p50_us'])}, {us(added)} more", ours["p50_us"] / base["p50_us"],
              "at most 150 µs more", added <= 150)
    yield row("mint, p99", us(base["p99_us"]), us(ours["p99_us"]), ours["p99_us"] / base["p99_us"], "under 1 ms",
              ours["p99_us"] < 1000)


def burst(ground):
    """Not pinned: ten thousand clients that try again would keep a server of the same FIFO priority off the core."""
    clients = 2_000 if ground.options.quick else 10_000
    home = Home(ground, free_port(), pin=False)
    request = ground.write("ping.request", PING)
    answer = ground.path("ping.answer")
    ground.measure("client", target=home.socket, request=request, count=1, save=answer)
    path = ground.path("burst.sock")
    echo = ground.start([ground.load, "echo-tokio", f"socket={path}", f"request={request}", f"answer={answer}"], pin=False)
    from .ground import until
    until(lambda: os.path.exists(path), 5, "the echo did not start")
    runs = {path: [], home.socket: []}
    for _ in range(3):
        for target, results in runs.items():
            results.append(ground.measure("burst", pin=False, target=target, request=request, clients=clients))
    ground.stop(echo)
    home.down()
    base, ours = [median([r["p99_us"] for r in results]) for results in runs.values()]
    errors = sum(r["errors"] for r in runs[home.socket])
    base_errors = sum(r["errors"] for r in runs[path])
    first = next((r["first_error"] for r in runs[home.socket] if r["errors"]), None)
    yield row(f"{clients:,} clients at once: errors", f"tokio echo {base_errors}", f"{errors}", None, "none", errors == 0,
              note=first)
    yield row(f"{clients:,} clients at once: p99", f"tokio echo {base / 1000:.0f} ms", f"{ours / 1000:.0f} ms", ours / base,
              "at most 2 x", ours / base <= 2)
