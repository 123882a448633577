"""Rows about whole commands, spawn to exit: `hallpass mint` beside the tools that hand out secrets today."""

import json, os, shutil, subprocess

from .ground import Home, Unmeasured, free_port, until
from .table import ms, row, unmeasured


def times(ground, name, command, env=None, inside=(), found=False, runs=None):
    """p50 and p99 in milliseconds, by hyperfine without a shell. `found`: its exit code says what it found."""
    if not shutil.which("hyperfine"):
        raise Unmeasured("hyperfine is not installed")
    out = ground.path("hyperfine.json")
    runs = str(runs) if runs else "60" if ground.options.quick else "300"
    if name.startswith("aws"):
        runs = "10"
    words = ["hyperfine", "-N", "--warmup", "20" if runs != "10" else "2", "--runs", runs, "--export-json", out]
    words += ["--ignore-failure"] if found else []
    words.append(" ".join(command))
    done = subprocess.run(ground.pin + list(inside) + words, env=dict(os.environ, **(env or {})), capture_output=True, text=True)
    if done.returncode != 0:
        raise Unmeasured(f"{name}: {done.stderr.strip()[-300:]}")
    found = sorted(json.load(open(out))["results"][0]["times"])
    return {"p50": found[len(found) // 2] * 1000, "p99": found[min(len(found) - 1, int(len(found) * 0.99))] * 1000}


def ssh(ground):
    for tool in ("ssh-agent", "ssh-add", "ssh-keygen"):
        if not shutil.which(tool):
            raise Unmeasured(f"{tool} is not installed")
    path = ground.path("ssh.sock")
    agent = ground.start(["ssh-agent", "-D", "-a", path])
    until(lambda: os.path.exists(path), 5, "ssh-agent did not start")
    key, env = ground.path("key"), {"SSH_AUTH_SOCK": path}
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    subprocess.run(["ssh-add", "-q", key], env=dict(os.environ, **env), check=True)
    try:
        return times(ground, "ssh-add", [shutil.which("ssh-add"), "-l"], env)
    finally:
        ground.stop(agent)


def secret_tool(ground):
    for tool in ("dbus-run-session", "gnome-keyring-daemon", "secret-tool"):
        if not shutil.which(tool):
            raise Unmeasured(f"{tool} is not installed")
    home = ground.path("keyring")
    os.mkdir(home, 0o700)
    # The keyring is unlocked with an empty password and lives as long as the session around the measurement.
    script = ground.write("keyring.sh", b"""
printf '\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
n=0
until printf value | secret-tool store --label=bench service bench; do n=$((n+1)); [ $n -gt 50 ] && exit 1; sleep 0.1; done
exec "$@"
""")
    env = {"HOME": home, "XDG_DATA_HOME": home, "XDG_RUNTIME_DIR": home}
    return times(ground, "secret-tool", ["secret-tool", "lookup", "service", "bench"], env,
                 inside=["dbus-run-session", "--", "sh", script])


def git(ground):
    file = ground.write("git.credentials", b"https://user:value@example.com\n")
    config = ground.write("gitconfig", f"[credential]\n\thelper = store --file={file}\n".encode())
    question = ground.write("git.question", b"protocol=https\nhost=example.com\n\n")
    env = {"GIT_CONFIG_GLOBAL": config, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    # It reads its question from standard input, so a shell is in between; `true` says what that costs at most.
    return times(ground, "git", ["sh", "-c", f"'git credential fill <{question}'"], env)


def aws(ground):
    found = shutil.which("aws")
    if found and "shims" in found:  # pyenv's shim is a shell script in front of the tool
        found = subprocess.run(["pyenv", "which", "aws"], capture_output=True, text=True).stdout.strip() or found
    if not found:
        raise Unmeasured("aws is not installed (pip install awscli)")
    path = ground.write("aws.credentials", b"[default]\nregion = eu-central-1\n")
    return times(ground, "aws", [found, "configure", "get", "region"],
                 {"AWS_CONFIG_FILE": path, "AWS_SHARED_CREDENTIALS_FILE": path})


def password_store(ground):
    for tool in ("pass", "gpg"):
        if not shutil.which(tool):
            raise Unmeasured(f"{tool} is not installed")
    home = ground.path("gnupg")
    os.mkdir(home, 0o700)
    env = {"GNUPGHOME": home, "PASSWORD_STORE_DIR": ground.path("store")}
    full = dict(os.environ, **env)
    subprocess.run(["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "bench", "default", "default", "never"],
                   env=full, check=True, capture_output=True)
    subprocess.run(["pass", "init", "bench"], env=full, check=True, capture_output=True)
    subprocess.run(["pass", "insert", "-e", "bench"], env=full, input=b"value\n", check=True, capture_output=True)
    return times(ground, "pass", ["pass", "show", "bench"], env)


def secretspec(ground):
    if not shutil.which("secretspec"):
        raise Unmeasured("secretspec is not installed (cargo install secretspec)")
    folder = ground.path("secretspec")
    os.mkdir(folder)
    ground.write("secretspec/secretspec.toml", b'[project]\nname = "bench"\nrevision = "1.0"\n\n[profiles.default]\nBENCH = { description = "x", required = true }\n')
    ground.write("secretspec/.env", b"BENCH=value\n")
    return times(ground, "secretspec", ["secretspec", "--file", f"{folder}/secretspec.toml", "get", "BENCH", "--provider", f"dotenv:{folder}/.env"])


def mint(ground):
    home = Home(ground, free_port())
    ours = {}
    for name, binary in [("plain", ground.hallpass), ("static", ground.static)]:
        if binary:
            ours[name] = times(ground, "mint", [binary, "mint", "bench:models:read", "--as", "bot"], home.env)
    home.down()
    best = ours.get("static") or ours["plain"]
    text = lambda t: f"{ms(t['p50'])} (p99 {ms(t['p99'])})"
    floor = times(ground, "true", [shutil.which("true")])
    yield row("`hallpass mint` as a process, warm daemon", f"`true` {text(floor)}",
              "; ".join(f"{name} {text(t)}" for name, t in ours.items()), best["p50"] / floor["p50"], "the floor", None)
    peers = [
        ("ssh-add -l", ssh, "static", 1 / 3, "at most 1/3, aim 1/4"),
        ("ssh-add -l", ssh, "plain", 1 / 2, "at most 1/2"),
        ("secret-tool lookup", secret_tool, "static", 1 / 10, "at most 1/10"),
        ("aws configure get", aws, "static", 1 / 200, "at most 1/200"),
        ("sh -c 'git credential fill' (store helper)", git, "static", None, ""),
        ("pass show", password_store, "static", None, ""),
        ("secretspec get (dotenv)", secretspec, "static", None, ""),
    ]
    known = {}
    for name, measure, build, most, reach in peers:
        what = f"`hallpass mint`, {build} build, vs `{name}`"
        if build not in ours:
            yield unmeasured(what, "there is no static build here")
            continue
        try:
            peer = known[name] = known.get(name) or measure(ground)
        except Unmeasured as why:
            yield unmeasured(what, str(why))
            continue
        ratio = ours[build]["p50"] / peer["p50"]
        yield row(what, text(peer), text(ours[build]), ratio, reach, None if most is None else ratio <= most)
