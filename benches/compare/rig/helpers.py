"""Rows about a tool's helper, as the tool calls it: git's `get`, by the name that git looks for."""

import json, os, shutil, signal, statistics, subprocess, time

from .ground import Unmeasured, ping, until
from .table import ms, row, unmeasured

QUESTION = b"protocol=https\nhost=example.com\npath=acme/web.git\n\n"
ANSWER = b"password=bench-git-password"


def spawned(ground, calls, runs):
    """p50 and p99 in milliseconds, spawn to exit, of commands that take turns, each with a file as its input: the
    hyperfine of Debian gives a command none. The one who measures is pinned as the others are."""
    before = os.sched_getaffinity(0)
    if ground.pin:
        os.sched_setaffinity(0, {max(before)})
        if ground.pin[0] == "chrt":
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    found = [[] for _ in calls]
    try:
        for turn in range(runs + 10):
            for times, (command, env, file) in zip(found, calls):
                actions = [(os.POSIX_SPAWN_OPEN, 0, file, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
                env = dict(os.environ, **env)
                begun = time.monotonic()
                pid = os.posix_spawn(command[0], command, env, file_actions=actions)
                _, status = os.waitpid(pid, 0)
                took = (time.monotonic() - begun) * 1000
                if status != 0:
                    raise Unmeasured(f"{command[0]} ended with {status}")
                if turn >= 10:
                    times.append(took)
    finally:
        if ground.pin:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.sched_setaffinity(0, before)
    percentile = lambda times, at: sorted(times)[min(len(times) - 1, int(len(times) * at))]
    return [{"p50": percentile(times, 0.5), "p99": percentile(times, 0.99)} for times in found]


class Agent:
    """ssh-agent with one key."""

    def __init__(self, ground):
        for tool in ("ssh-agent", "ssh-add", "ssh-keygen"):
            if not shutil.which(tool):
                raise Unmeasured(f"{tool} is not installed")
        path, key = ground.path("helper-ssh.sock"), ground.path("helper-key")
        self.process = ground.start(["ssh-agent", "-D", "-a", path])
        until(lambda: os.path.exists(path), 5, "ssh-agent did not start")
        self.env = {"SSH_AUTH_SOCK": path}
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        subprocess.run(["ssh-add", "-q", key], env=dict(os.environ, **self.env), check=True)
        self.call = ([shutil.which("ssh-add"), "-l"], self.env, "/dev/null")


class Helper:
    """A home whose credential outlives its daemon, and the helper's link."""

    def __init__(self, ground, binary, name):
        if not shutil.which("age-keygen"):
            raise Unmeasured("age-keygen is not installed")
        self.ground, self.binary, self.dir = ground, binary, ground.path(f"helper-{name}")
        os.mkdir(self.dir, 0o700)
        identity = f"{self.dir}/identity.txt"
        with open(os.open(identity, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
            file.write(subprocess.run(["age-keygen"], capture_output=True, check=True).stdout)
        with open(f"{self.dir}/config.toml", "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f'[store]\nkind = "file"\nidentity = "{identity}"\n\n[daemon]\nheadless_human = true\n')
        # On any core, before the neighbours.
        self.front = ground.pin[:3] if ground.pin[:1] == ["chrt"] else []
        self.socket = f"{self.dir}/run/agent.sock"
        self.env = {"HALLPASS_HOME": self.dir, "HALLPASS_AUTOSTART": "0", "HALLPASS_LOG": "error"}
        self.command = f"{self.dir}/git-credential-hallpass"
        os.symlink(os.path.realpath(binary), self.command)
        self.question = ground.write(f"question-{name}", QUESTION)
        self.process = ground.start(self.front + [binary, "daemon"], pin=False, env=self.env)
        until(lambda: ping(self.socket), 10, "the daemon did not answer")
        self.cli("credential", "add", "vault", input=ANSWER.split(b"=")[1])
        self.cli("helper", "add", "git", "https://example.com", "vault:release")
        self.cli("grant", "add", "human", "vault:release")
        self.one(self.env)

    def cli(self, *words, input=b""):
        done = subprocess.run([self.binary, *words], env=dict(os.environ, **self.env), input=input, capture_output=True)
        if done.returncode != 0:
            raise Unmeasured(f"hallpass {' '.join(words)}: {done.stderr.decode().strip()[-300:]}")

    def one(self, env):
        """One call, spawn to exit, in milliseconds; it has to be answered."""
        begun = time.monotonic()
        done = subprocess.run(self.ground.pin + [self.command, "get"], env=dict(os.environ, **env), input=QUESTION,
                              capture_output=True)
        took = (time.monotonic() - begun) * 1000
        if ANSWER not in done.stdout:
            raise Unmeasured(f"the helper said {done.stdout + done.stderr!r}")
        return took

    def kill(self):
        try:
            pid = json.loads(subprocess.run([self.binary, "status", "--json"], env=dict(os.environ, **self.env),
                                            capture_output=True).stdout)["pid"]
            os.kill(pid, signal.SIGTERM)
        except (ValueError, KeyError, ProcessLookupError):
            pass
        if self.process.poll() is None:
            self.ground.stop(self.process)
        until(lambda: not ping(self.socket), 10, "the daemon did not end")

    def cold(self, runs):
        found = []
        for _ in range(runs):
            self.kill()
            found.append(self.one(dict(self.env, HALLPASS_AUTOSTART="1")))
        self.kill()
        return sorted(found)

    def at_once(self, count):
        """From the moment that `count` helpers, which wait for their question, get it, until the last has answered."""
        running = [subprocess.Popen(self.front + [self.command, "get"], env=dict(os.environ, **self.env), stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE) for _ in range(count)]
        # Each has come as far as it can without the question: it waits in read(0, ...).
        waits = lambda process: open(f"/proc/{process.pid}/syscall").read().startswith("0 0x0 ")
        for process in running:
            until(lambda: waits(process), 5, "it did not wait")
        begun = time.monotonic()
        for process in running:
            process.stdin.write(QUESTION)
            process.stdin.close()
        said = [process.stdout.read() for process in running]
        for process in running:
            process.wait()
        took = (time.monotonic() - begun) * 1000
        if not all(ANSWER in text for text in said):
            raise Unmeasured(f"one of {count} helpers was not answered")
        return took


def rows(ground):
    quick = ground.options.quick
    try:
        peer = Agent(ground)
    except Unmeasured as why:
        peer = None
        yield unmeasured("a helper beside `ssh-add -l`", str(why))
    text = lambda t: f"{ms(t['p50'])} (p99 {ms(t['p99'])})"
    for build, binary, most in [("static", ground.static, 1 / 3), ("plain", ground.hallpass, 1 / 2)]:
        what = f"`git-credential-hallpass get`, {build} build"
        if not binary:
            yield unmeasured(what, "there is no static build here")
            continue
        helper = Helper(ground, binary, build)
        if peer:
            own = ([helper.command, "get"], helper.env, helper.question)
            theirs, warm = spawned(ground, [peer.call, own], 60 if quick else 300)
            ratio = warm["p50"] / theirs["p50"]
            yield row(f"{what}, warm daemon, vs `ssh-add -l`", text(theirs), text(warm), ratio,
                      "at most 1/3" if build == "static" else "at most 1/2", ratio <= most)
        turns = range(10 if quick else 50)
        pairs = [(helper.at_once(1), helper.at_once(10)) for _ in turns]
        alone, ten = (statistics.median(pair[at] for pair in pairs) for at in (0, 1))
        yield row(f"ten of {what} at once, question to last answer", f"one {ms(alone)}", ms(ten), ten / alone,
                  "at most twice one", ten <= 2 * alone, note=f"on all of {len(os.sched_getaffinity(0))} cores")
        found = helper.cold(5 if quick else 20)
        yield row(f"{what}, cold: it starts the daemon", "", f"{ms(statistics.median(found))} (worst {ms(found[-1])})", None,
                  "at most 150 ms", statistics.median(found) <= 150)
