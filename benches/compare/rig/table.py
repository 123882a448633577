"""Rows, the Markdown table and the JSON beside it."""

import datetime, json, os, platform, subprocess


def row(what, baseline, hallpass, ratio, reach, met, note=None):
    return {"what": what, "baseline": baseline, "hallpass": hallpass, "ratio": ratio, "to_reach": reach, "met": met,
            "note": note}


def unmeasured(what, why):
    return row(what, "", "not measured", None, "", None, note=why)


def us(value):
    return f"{value:.1f} µs" if value < 1000 else f"{value / 1000:.2f} ms"


def ms(value):
    return f"{value:.2f} ms"


def about(ground):
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    memory = int(open("/proc/meminfo").readline().split()[1]) // 1024 // 1024
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True,
                            cwd=os.path.dirname(__file__)).stdout.strip()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{model}, {os.cpu_count()} cores, {memory} GB",
        "kernel": platform.release(),
        "load": " ".join(f"{n:.1f}" for n in os.getloadavg()),
        "pinning": ground.how,
        "commit": commit,
        "builds": f"plain {os.path.getsize(ground.hallpass) / 1e6:.1f} MB"
                  + (f", static {os.path.getsize(ground.static) / 1e6:.1f} MB ({ground.static_kind})" if ground.static else ", no static build"),
    }


def markdown(facts, rows):
    lines = [f"Measured {facts['date']} at {facts['commit']}. Machine: {facts['machine']}, Linux {facts['kernel']}, "
             f"load average at the start {facts['load']}. Timed processes: {facts['pinning']}. Builds: {facts['builds']}.",
             "", "| what | baseline, same run | hallpass | ratio | to reach | met? |", "|---|---|---|---|---|---|"]
    for r in rows:
        ratio = "" if r["ratio"] is None else (f"{r['ratio']:.2f}" if r["ratio"] >= 0.1 else f"1/{1 / r['ratio']:.0f}")
        met = {True: "yes", False: "**no**", None: "-"}[r["met"]]
        note = " (" + " ".join(r["note"].split()) + ")" if r["note"] else ""
        what = r["what"] if r.get("measured", facts["date"]) == facts["date"] else f"{r['what']} †"
        lines.append(f"| {what} | {r['baseline']} | {r['hallpass']}{note} | {ratio} | {r['to_reach']} | {met} |")
    if any(line.split(" | ")[0].endswith("†") for line in lines):
        lines += ["", "Rows with † are of earlier runs, and of the code of their day: results.json has each one's date."]
    return "\n".join(lines) + "\n"


def with_earlier(path, facts, rows):
    """The rows, and those of earlier runs that this one did not measure, each with its date."""
    rows = [{**r, "measured": facts["date"]} for r in rows]
    if not os.path.exists(path):
        return rows
    with open(path) as file:
        earlier = json.load(file)["rows"]
    fresh = {r["what"]: r for r in rows if r["hallpass"] != "not measured"}
    known = {r["what"] for r in earlier}
    return [fresh.get(r["what"], r) for r in earlier] + [r for r in rows if r["what"] not in known]


def write_json(path, facts, rows):
    with open(path, "w") as file:
        json.dump({"about": facts, "rows": rows}, file, indent=1, ensure_ascii=False)
        file.write("\n")
