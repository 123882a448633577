"""Rows about secrets in files: how fast a tree and a single file are scanned, beside other scanners, and how soon
the daemon sees a secret that is written and takes it out.

The keys are made here, no two alike, and are worth nothing. The store is the memory store, so that the time of a
keyring is not in the rows. "After the debounce" is after the 15 ms that a file has to be quiet (watch/mod.rs).
"""

import contextlib, itertools, json, os, random, shutil, string, subprocess, time

from .commands import times
from .detect import ripsecrets_binary, tool_folder
from .ground import Home, Unmeasured, free_port, memory_kb, median, switches, until
from .table import ms, row, unmeasured

DEBOUNCE_MS = 15
# How long until the daemon has given back what a look took: its own pause, and that of the audit log.
REST = 14
TEXT = (".rs", ".toml", ".md", ".json", ".c", ".h", ".py", ".js", ".txt", ".yml", ".yaml", ".sh")
# Without the letter of placeholders: a row of it may stand in a random key as well.
LETTERS = (string.ascii_letters + string.digits).replace("x", "").replace("X", "")


def rows(ground):
    for part in (tree, one, latency, watched, made_at_once, burst):
        try:
            yield from part(ground)
        except Unmeasured as why:
            yield unmeasured(f"quarantine, {part.__name__}", str(why))


def key(seed):
    """A key of Anthropic's form: https://docs.anthropic.com and its checks are the rule's (data/rules)."""
    body = "".join(random.Random(seed).choices(LETTERS, k=93))
    return "sk-" + "ant-api03-" + body + "AA"


def put(path, text):
    with open(path, "w") as file:
        file.write(text)


# Scanning: beside other scanners.

def tree(ground):
    size = (20 if ground.options.quick else 200) * 1_000_000
    folder, held, files = ground.path("tree"), 0, 0
    sources = sorted(os.path.join(base, name) for base, _, names in os.walk(os.path.expanduser("~/.cargo/registry/src"))
                     for name in names if name.endswith(TEXT) and not name.startswith("."))
    if not sources:
        raise Unmeasured("~/.cargo/registry/src has no sources")
    for files, source in enumerate(itertools.cycle(sources)):
        if held >= size:
            break
        # Flat and renamed, so that no scanner's list of folders to leave out matters; a file that comes again is
        # another one, so that no scanner knows it already.
        target = os.path.join(folder, f"d{files // 200}", f"{files}-{os.path.basename(source)}")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(source, "rb") as file, open(target, "wb") as copy:
            held += copy.write(b"// %d\n" % files + file.read())
    tools = os.path.join(tool_folder(ground), "bin")
    report = ground.path("tree.jsonl")
    commands = {
        "hallpass": [ground.hallpass, "scan", "--json", folder],
        "betterleaks": [f"{tools}/betterleaks", folder, "--output", report, "--jsonl", "--no-banner", "--exit-code=0"],
        "kingfisher": [f"{tools}/kingfisher", "scan", folder, "--no-validate", "--no-update-check", "--format", "json",
                       "--output", report],
    }
    turns = 1 if ground.options.quick else 3
    # In turn, so that a neighbour's load meets each of them; the first look warms the cache.
    found = {name: [] for name in commands}
    timed(ground, commands["hallpass"])
    for _ in range(turns):
        for name, command in commands.items():
            if found[name] is not None:
                try:
                    found[name].append(timed(ground, command))
                except Unmeasured as why:
                    found[name] = None
                    yield unmeasured(f"scan of a tree: {name}", str(why))

    def say(name):
        walls = [wall for wall, _, _ in found[name]]
        busy = median([cpu for _, cpu, _ in found[name]])
        return f"{median(walls):.2f} s, best {min(walls):.2f} s ({held / 1e6 / median(walls):.0f} MB/s), CPU {busy:.2f} s"

    def wall(name):
        return median([wall for wall, _, _ in found[name]])

    def peak(name):
        return max(kb for _, _, kb in found[name])

    what = f"scan of {held / 1e6:.0f} MB of Rust crates' sources, {files:,} files"
    if found["betterleaks"]:
        ratio = wall("hallpass") / wall("betterleaks")
        yield row(f"{what}: time, vs betterleaks", say("betterleaks"), say("hallpass"), ratio, "below 1", ratio < 1)
    if found["kingfisher"]:
        ratio = wall("hallpass") / wall("kingfisher")
        yield row(f"{what}: time, vs kingfisher", say("kingfisher"), say("hallpass"), ratio, "aim at most 1", ratio <= 1)
        ratio = peak("hallpass") / peak("kingfisher")
        yield row("the same: most memory, vs kingfisher", f"{peak('kingfisher') / 1024:.0f} MB", f"{peak('hallpass') / 1024:.1f} MB",
                  ratio, "at most 1/4", ratio <= 0.25)
    shutil.rmtree(folder)


def timed(ground, command):
    """Seconds, those of a processor, and the most memory in kB, of the process and those that it waited for. Not pinned:
    they use all cores, and Go's scheduler spins for minutes at a real-time priority."""
    tool = shutil.which("time") or "/usr/bin/time"
    if not os.path.exists(tool):
        raise Unmeasured("/usr/bin/time is not installed")
    out = ground.path("time")
    env = dict(os.environ, HALLPASS_HOME=scan_home(ground))
    done = subprocess.run([tool, "-q", "-f", "%e %U %S %M", "-o", out, *command], capture_output=True, text=True, timeout=900, env=env)
    # Many a scanner says with its code that it found something.
    if done.returncode not in (0, 5, 200, 205):
        raise Unmeasured(f"{os.path.basename(command[0])}: {done.returncode}: {done.stderr.strip()[-200:]}")
    wall, user, system, kb = open(out).read().split()[-4:]
    return float(wall), float(user) + float(system), int(kb)


def scan_home(ground):
    folder = ground.path("scan-home")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    return folder


def one(ground):
    folder = ground.path("one")
    os.makedirs(folder, exist_ok=True)
    file = os.path.join(folder, ".env")
    put(file, "".join(f"SETTING_{n}=value-{n}\n" for n in range(20)) + f"ANTHROPIC_API_KEY={key(1)}\n")
    env = {"HALLPASS_HOME": scan_home(ground)}
    ours = times(ground, "hallpass", [ground.hallpass, "scan", file], env, found=True)
    tools = os.path.join(tool_folder(ground), "bin")
    others = (("ripsecrets", lambda: [ripsecrets_binary(ground), file], 0.1, "at most 1/10"),
              ("betterleaks", lambda: [f"{tools}/betterleaks", file, "--no-banner", "--exit-code=0"], None, ""),
              ("kingfisher", lambda: [f"{tools}/kingfisher", "scan", file, "--no-validate", "--no-update-check"], None, ""))
    for name, command, most, reach in others:
        what = f"one `.env`, cold process, vs {name}"
        try:
            theirs = times(ground, name, command(), found=True, runs=30)
        except Unmeasured as why:
            yield unmeasured(what, str(why))
            continue
        ratio = ours["p50"] / theirs["p50"]
        yield row(what, f"{theirs['p50']:.1f} ms", f"{ours['p50']:.2f} ms", ratio, reach, None if most is None else ratio <= most)


# The daemon: how soon, and at what cost.

def watching(ground, mode, folder=None, pin=False):
    """A daemon that watches a new folder."""
    home = Home(ground, free_port(), pin=pin, prepare=False)
    folder = folder or os.path.join(home.dir, "project")
    os.makedirs(folder, exist_ok=True)
    home.cli("watch", "add", "--yes", "--mode", mode, folder)
    until(lambda: watch_list(home)["ready"], 60, "the folders were not looked through")
    return home, folder


def watch_list(home):
    return json.loads(home.cli("--json", "watch", "list"))


def findings(home):
    return json.loads(home.cli("--json", "findings"))["items"]


def audit_size(home):
    folder = os.path.join(home.dir, "state/audit")
    folder = folder if os.path.isdir(folder) else os.path.join(home.dir, "audit")
    return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())


def latency(ground):
    count = 40 if ground.options.quick else 400
    for what, mode, p50, p99 in (("finding", "notify", 2, 20), ("quarantined (memory store, fsyncs, rename)", "quarantine", 10, 50)):
        taken = []
        # A new daemon now and then: with hundreds of keys the config that it writes would be what is measured.
        for turn in range(count // 20):
            home, folder = watching(ground, mode, pin=True)
            with in_front(ground):
                taken += [sample(home, os.path.join(folder, ".env"), mode, f"{turn}-{n}") for n in range(20)]
            home.down()
        taken.sort()
        middle, late = taken[len(taken) // 2], taken[min(len(taken) - 1, int(len(taken) * 0.99))]
        yield row(f"write → {what}, after the debounce: p50 (p99) of {len(taken)}", "", f"{ms(middle)} ({ms(late)}, worst {ms(taken[-1])})",
                  None, f"at most {p50} ms ({p99} ms)", middle <= p50 and late <= p99)


@contextlib.contextmanager
def in_front(ground):
    """This process has the priority of those that are pinned, so that a neighbour is not what is measured."""
    pinned = "chrt" in ground.pin
    if pinned:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40))
    try:
        yield
    finally:
        if pinned:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def sample(home, path, mode, seed):
    """Milliseconds from the end of a write, without the debounce, until the finding is on record, or until the
    file that stands there is the new one."""
    new = f"ANTHROPIC_API_KEY={key(seed)}\n"
    before = audit_size(home)
    if mode == "notify":
        seen = lambda: audit_size(home) > before
    else:
        put(path, "")
        time.sleep(0.1)
        inode = os.stat(path).st_ino
        seen = lambda: os.stat(path).st_ino != inode
    with open(path, "w") as file:
        file.write(new)
        file.flush()
        # Closing raises the last event.
        begun = time.monotonic()
    until(seen, 20, f"a key was written and not seen ({mode})", step=0.0001)
    taken = (time.monotonic() - begun) * 1000 - DEBOUNCE_MS
    # What follows on it: the note, the issuer, a look at what was written.
    time.sleep(0.2)
    return max(0.0, taken)


def watched(ground):
    count = 2_000 if ground.options.quick else 20_000
    limit = int(open("/proc/sys/fs/inotify/max_user_watches").read())
    home, folder = watching(ground, "notify")
    time.sleep(REST)
    before = memory_kb(home.pid)
    yield row("idle daemon with all rules, before a look: RSS", "", f"{before / 1024:.1f} MB", None, "at most 10 MB", before <= 10 * 1024)
    put(os.path.join(folder, ".env"), f"ANTHROPIC_API_KEY={key('look')}\n")
    until(lambda: findings(home), 20, "the key was not found")
    time.sleep(REST)
    after, own, most = memory_kb(home.pid), memory_kb(home.pid, "RssAnon"), memory_kb(home.pid, "VmHWM")
    yield row("idle daemon with all rules, after a look: RSS", "", f"{after / 1024:.1f} MB, of it {own / 1024:.1f} MB its own ({most / 1024:.1f} MB at the most)",
              None, "at most 10 MB", after <= 10 * 1024)
    before = switches(home.pid)
    time.sleep(10)
    woke = switches(home.pid) - before
    yield row("idle daemon that watches: context switches in 10 s", "", str(woke), None, "none", woke == 0)
    if limit < count + 1000:
        raise Unmeasured(f"fs.inotify.max_user_watches is {limit}")
    wide = ground.path("wide")
    for n in range(count // 100):
        for m in range(100):
            os.makedirs(os.path.join(wide, str(n), str(m)))
    before = memory_kb(home.pid)
    home.cli("watch", "add", "--yes", "--mode", "notify", wide)
    until(lambda: (lambda told: told["ready"] and told["folders"] >= count)(watch_list(home)), 120, "not all folders are watched")
    time.sleep(REST)
    grown = memory_kb(home.pid) - before
    told = watch_list(home)
    yield row(f"{told['folders']:,} watched folders: memory more", "", f"{grown / 1024:.1f} MB", None, "at most 6 MB",
              grown <= 6 * 1024 * count / 20_000 and not told["degraded"])
    home.down()
    shutil.rmtree(wide)


def made_at_once(ground):
    count = 500
    home, folder = watching(ground, "notify")
    for n in range(count):
        os.mkdir(os.path.join(folder, f"d{n}"))
        put(os.path.join(folder, f"d{n}", ".env"), f"ANTHROPIC_API_KEY={key(f'made-{n}')}\n")
    found = settled(home, count)
    yield row("`mkdir` and a write at once: found", "", f"{found} of {count}", None, f"{count} of {count} (plain notify: 183)", found == count)
    home.down()


def burst(ground):
    count = 6_000 if ground.options.quick else 60_000
    home, folder = watching(ground, "notify")
    wanted = 0
    for n in range(count):
        inner = os.path.join(folder, f"d{n % 50}")
        if n < 50:
            os.mkdir(inner)
        if n % 30 == 7:
            wanted += 1
            put(os.path.join(inner, f"{n}.env"), f"ANTHROPIC_API_KEY={key(f'burst-{n}')}\n")
        else:
            put(os.path.join(inner, f"{n}.js"), "0;\n")
    found = settled(home, wanted)
    told = watch_list(home)
    yield row(f"{count:,} creations in a burst, {wanted:,} of them with a key: missed", "", f"{wanted - found} ({told['rescans']} rescans)",
              None, "none", found == wanted)
    home.down()


def settled(home, wanted):
    """How many files with a finding there are, once all are there or a minute passed."""
    found = lambda: len({one["path"] for one in findings(home)})
    try:
        until(lambda: found() >= wanted, 60, "", step=0.2)
    except Unmeasured:
        pass
    return found()
