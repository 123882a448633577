"""The ground under the rows: a throw-away home with a daemon, pinned processes, /proc."""

import json, os, shutil, signal, socket, statistics, subprocess, tempfile, time

TICK = os.sysconf("SC_CLK_TCK")
KEY = "bench-upstream-key"  # what the strict upstream would want; no real key's form
CONFIG = """[store]
kind = "memory"

[daemon]
headless_human = true

[[routes]]
name = "bench"
base_url = "http://127.0.0.1:{port}"
source = "the benchmark's own upstream"
auth = {{ kind = "bearer" }}
key_env = ["BENCH_KEY"]
base_url_env = [{{ name = "BENCH_URL" }}]
allow_private = true

[[routes.scope]]
name = "models:read"
description = "list models"
allow = ["GET /v1/models"]
example = ["GET /v1/models"]
counter = ["DELETE /v1/models"]

[[routes.scope]]
name = "chat"
description = "chat"
allow = ["POST /v1/chat/completions"]
example = ["POST /v1/chat/completions"]
counter = ["GET /v1/chat/completions"]
"""


class Unmeasured(Exception):
    """A row that cannot be measured here, and why."""


class Ground:
    """Binaries, folder, and how processes are run."""

    def __init__(self, options, hallpass, static, load):
        self.options, self.hallpass, self.static, self.load = options, hallpass, static, load
        # The kernel allows 107 bytes for a socket's path.
        self.dir = tempfile.mkdtemp(prefix="hpb", dir="/tmp")
        self.running, self.count = [], 0
        self.pin, self.how = [], "not pinned, ordinary priority"
        if not options.no_pin:
            self.pin, self.how = pinned()

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)
        return self.path(name)

    def start(self, command, pin=True, env=None, **more):
        """Starts a process that is stopped at the end."""
        more.setdefault("stdout", subprocess.DEVNULL)
        more.setdefault("stderr", open(self.path("log"), "ab"))
        process = subprocess.Popen((self.pin if pin else []) + command, env=dict(os.environ, **(env or {})), **more)
        self.running.append(process)
        return process

    def stop(self, process, how=signal.SIGTERM):
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def measure(self, verb, pin=True, timeout=600, **values):
        """One call of the load generator; its JSON."""
        command = [self.load, verb] + [f"{k}={v}" for k, v in values.items()]
        done = subprocess.run((self.pin if pin else []) + command, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise Unmeasured(f"load {verb}: {done.stderr.strip()[-300:]}")
        return json.loads(done.stdout)

    def hold(self, **values):
        """Connections that are held until `release` is called on what this gives."""
        process = self.start([self.load, "hold"] + [f"{k}={v}" for k, v in values.items()],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.told = json.loads(process.stdout.readline())
        return process

    def end(self):
        for process in self.running:
            self.stop(process, signal.SIGKILL)
        if not self.options.keep:
            shutil.rmtree(self.dir, ignore_errors=True)


class Home:
    """A hallpass home with one key, one principal and one grant, and its daemon."""

    def __init__(self, ground, port, binary=None, prefix=(), pin=True, prepare=True):
        ground.count += 1
        self.ground, self.binary, self.prefix, self.pin = ground, binary or ground.hallpass, list(prefix), pin
        self.dir = ground.path(f"h{ground.count}")
        os.mkdir(self.dir, 0o700)
        with open(f"{self.dir}/config.toml", "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(CONFIG.format(port=port))
        self.env = {"HALLPASS_HOME": self.dir, "HALLPASS_AUTOSTART": "0", "HALLPASS_LOG": "error"}
        self.socket = f"{self.dir}/run/agent.sock"
        self.up()
        if prepare:
            self.cli("credential", "add", "bench", input=KEY)
            self.cli("principal", "add", "bot", "--kind", "agent")
            self.cli("grant", "add", "bot", "bench:models:read,chat", "--ttl", "12h")

    def up(self):
        self.process = self.ground.start(self.prefix + [self.binary, "daemon"], pin=self.pin, env=self.env)
        return until(lambda: ping(self.socket), 10, "the daemon did not answer")

    @property
    def pid(self):
        return self.process.pid  # chrt, taskset and prlimit exec

    def cli(self, *words, input=None, binary=None):
        done = subprocess.run([binary or self.binary, *words], env=dict(os.environ, **self.env), capture_output=True,
                              text=True, input=input)
        if done.returncode != 0:
            raise Unmeasured(f"hallpass {' '.join(words)}: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()

    def mint(self):
        """A token, and the gateway's address."""
        answer = json.loads(self.cli("--json", "mint", "bench:models:read,chat", "--as", "bot", "--ttl", "12h"))
        return answer["access_token"], answer["base_url"].split("/")[2]

    def down(self, how=signal.SIGTERM):
        self.ground.stop(self.process, how)


def pinned():
    """Everything that is timed on one core with real-time FIFO priority, so that neighbours do not show and
    latency is the length of the path; what the machine does not allow is said."""
    core = str(max(os.sched_getaffinity(0)))
    for prefix, how in [(["chrt", "-f", "50", "taskset", "-c", core], f"FIFO priority, core {core}"),
                        (["taskset", "-c", core], f"ordinary priority (no right to FIFO), core {core}")]:
        if all(map(shutil.which, {prefix[0], "taskset"})) and subprocess.run(prefix + ["true"], capture_output=True).returncode == 0:
            return prefix, how
    return [], "not pinned, ordinary priority"


PING = b"GET /v1/ping HTTP/1.1\r\nhost: hallpass\r\n\r\n"


def ping(path, timeout=2):
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(path)
            s.sendall(PING)
            return b" 200 " in s.recv(4096)
    except OSError:
        return False


def until(check, seconds, why, step=0.0005):
    """Waits until it is so; how many seconds that took."""
    begun = time.monotonic()
    while not check():
        if time.monotonic() - begun > seconds:
            raise Unmeasured(why)
        time.sleep(step)
    return time.monotonic() - begun


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(*pids):
    total = 0
    for pid in pids:
        fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def memory_kb(pid, what="VmRSS"):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(what + ":"):
            return int(line.split()[1])
    return 0


def switches(pid):
    """How often any of its threads gave up or lost a core."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        for line in open(f"/proc/{pid}/task/{task}/status"):
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


def median(values):
    return statistics.median(values)
