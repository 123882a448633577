"""Rows about the daemon itself: memory, wake-ups, limits, slow clients, and being killed."""

import json, os, signal, subprocess, time

from .ground import PING, Home, Unmeasured, cpu_seconds, free_port, memory_kb, ping, switches, until
from .gateway import Yard
from .table import row, us


def idle(ground):
    """Both builds side by side: they do nothing."""
    yard = Yard(ground)
    yard.home.down()
    builds = [(name, binary) for name, binary in [("plain", ground.hallpass), ("static", ground.static)] if binary]
    homes = {name: Home(ground, yard.upstream, binary=binary, pin=False) for name, binary in builds}
    for home in homes.values():
        token, gateway = home.mint()
        ground.measure("http", **dict(yard.ours, target=gateway, token=token), count=1, warm=0)
    # Five seconds later the audit log is synced, and a minute later the upstream's connection is closed.
    time.sleep(8 if ground.options.quick else 85)
    for name, home in homes.items():
        kb, private = memory_kb(home.pid), memory_kb(home.pid, "RssAnon")
        yield row(f"idle daemon, {name} build: RSS", "", f"{kb / 1024:.1f} MB, of it {private / 1024:.1f} MB its own and the rest pages of the file",
                  None, "at most 8 MB", kb <= 8 * 1024)
    before = {name: switches(home.pid) for name, home in homes.items()}
    seconds = 5 if ground.options.quick else 20
    time.sleep(seconds)
    for name, home in homes.items():
        woke = switches(home.pid) - before[name]
        yield row(f"idle daemon, {name} build: context switches in {seconds} s", "", str(woke), None, "none", woke == 0)
        home.down()


def connections(ground):
    """Half of them on each socket: a connection to the API takes two descriptors (itself and its process), and
    the daemon gives each socket a budget of its own, so the hard limit of many machines stops one socket early."""
    count = 2_000 if ground.options.quick else 9_500
    request = ground.write("ping.request", PING)
    for name, more in [("nothing said yet", {}), ("after a request on each", {"request": request})]:
        # A daemon each: what the first connections leave to the allocator would hide what the next ones take.
        home = Home(ground, free_port())
        sockets = [home.socket, os.path.join(os.path.dirname(home.socket), "gateway.sock")]
        before = memory_kb(home.pid)
        holders = [ground.hold(target=target, count=count // 2, **more) for target in sockets]
        held = sum(holder.told["held"] for holder in holders)
        until(lambda: ping(home.socket), 10, "no answer beside the idle connections")
        each = (memory_kb(home.pid) - before) / held
        for holder in holders:
            holder.stdin.close()
            holder.wait()
        until(lambda: len(os.listdir(f"/proc/{home.pid}/fd")) < 100, 10, "connections stayed open")
        yield row(f"{held:,} idle connections, {name}: memory each", "", f"{each:.2f} kB", None, "at most 2 kB", each <= 2)
        home.down()


def flat(ground):
    yard = Yard(ground)
    half = 50_000 if ground.options.quick else 500_000
    request = ground.write("ping.request", PING)

    def both(count):
        ground.measure("client", target=yard.home.socket, request=request, count=count)
        ground.measure("http", **yard.ours, count=count, conns=8)

    both(5_000)
    before = memory_kb(yard.home.pid)
    both(half)
    grown = memory_kb(yard.home.pid) - before
    yard.home.down()
    # The smallest allocation is 16 bytes: a leak for each request would show sixteen times this limit.
    yield row(f"RSS over {2 * half:,} requests (half API, half gateway)", f"{before / 1024:.1f} MB before", f"{grown:+d} kB", None,
              "flat (under a byte a request)", grown * 1024 < 2 * half)


def full(ground):
    home = Home(ground, free_port(), prefix=["prlimit", "--nofile=256:256"])
    _, gateway = home.mint()
    holders = [ground.hold(target=home.socket, count=400), ground.hold(target=gateway, count=150)]
    time.sleep(1)
    seconds = 2 if ground.options.quick else 10
    before = cpu_seconds(home.pid)
    time.sleep(seconds)
    share = (cpu_seconds(home.pid) - before) / seconds * 100
    files = len(os.listdir(f"/proc/{home.pid}/fd"))
    begun = time.monotonic()
    for holder in holders:
        holder.stdin.close()
    until(lambda: ping(home.socket, 0.2), 30, "no answer after the connections were closed")
    back = time.monotonic() - begun
    home.down()
    yield row("fd limit 256, with 400 clients on the socket and 150 on the gateway: CPU while full", "", f"{share:.1f} %", None, "at most 1 %", share <= 1,
              note=f"{files} descriptors in use")
    yield row("fd limit: answering again after they left", "", f"{back * 1000:.0f} ms", None, "within 1 s", back <= 1)


def slow(ground):
    yard = Yard(ground)
    request = ground.write("ping.request", PING)
    for name, target, most in [("API socket", yard.home.socket, 5), ("gateway", yard.gateway, 10)]:
        ask = (lambda: ground.measure("client", target=target, request=request, count=5_000)) if target.startswith("/") else (
            lambda: ground.measure("http", **yard.ours, count=5_000))
        alone = ask()
        holder = ground.start([ground.load, "slow", f"target={target}", "count=100"], stdout=subprocess.PIPE)
        time.sleep(0.5)
        beside = ask()
        told = json.loads(holder.communicate(timeout=60)[0])
        yield row(f"100 half heads on the {name}: closed after", "", f"{told['first_s']:.2f} to {told['last_s']:.2f} s (status {told['status']})", None,
                  f"within {most} s", told["last_s"] <= most + 0.25)
        ratio = beside["p99_us"] / alone["p99_us"]
        yield row(f"a healthy client of the {name} meanwhile: p50, p99", f"alone {us(alone['p50_us'])}, {us(alone['p99_us'])}",
                  f"{us(beside['p50_us'])}, {us(beside['p99_us'])}", ratio, "unaffected", None)
    yard.home.down()


def killed(ground):
    times = 1_000 if ground.options.full else (20 if ground.options.quick else 200)
    home = Home(ground, free_port())
    for _ in range(50):
        home.mint()
    back, owners = [], 0
    for turn in range(times):
        begun = time.monotonic()
        home.process.send_signal(signal.SIGKILL)
        home.process.wait()
        ground.running.remove(home.process)
        home.up()
        back.append((time.monotonic() - begun) * 1000)
        # A second one must find the first and give up; the socket stays the first one's.
        second = subprocess.run([home.binary, "daemon"], env=dict(os.environ, **home.env), capture_output=True, timeout=10)
        owners += second.returncode != 0 and ping(home.socket) and home.process.poll() is None
    back.sort()
    home.down()
    yield row(f"{times:,} x kill -9 and restart: exactly one owner", "", f"{owners:,} of {times:,}", None, "each time", owners == times)
    p50, worst = back[len(back) // 2], back[-1]
    yield row("kill -9 to the next answered ping, p50 (worst)", "", f"{p50:.1f} ms ({worst:.1f} ms)", None, "within 100 ms", worst <= 100)
