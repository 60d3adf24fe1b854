#!/usr/bin/env python3
"""Compares ways to bring desired state to devices: real servers, real tools, a link between them.

usage: compare.py --program DESIRED-STATE [--reference-server F] [--grpc DIRECTORY] [--reduced] [--relay]
                  [--only APPROACH,…] [--output RESULTS.json]
"""
import argparse, json, os, platform, resource, shutil, signal, subprocess, sys, tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "harness"))
from bench import Bench
from link import Link
from relay import Relay


def lay_link(relay):
    if not relay:
        try:
            return Link()
        except (PermissionError, OSError, FileNotFoundError, subprocess.CalledProcessError) as error:
            print(f"no network namespaces ({error}): over a relay on loopback, which loses nothing", file=sys.stderr)
    return Relay()


def merged(whole, part):
    both = isinstance(whole, dict) and isinstance(part, dict)
    return whole | {name: merged(whole.get(name), value) for name, value in part.items()} if both else part


def versions(program):
    def line(*command):
        try:
            done = subprocess.run(command, capture_output=True, text=True)
            return (done.stdout + done.stderr).strip().splitlines()[0]
        except (OSError, IndexError):
            return None
    return {"desired-state": line(program, "--version"), "nginx": line("nginx", "-v"), "git": line("git", "--version"),
            "curl": line("curl", "--version"), "rsync": line("rsync", "--version"), "ostree": line("dpkg-query", "-W", "ostree"),
            "ssh": line("ssh", "-V"), "kernel": platform.release(), "processors": os.cpu_count()}


def write(path, bench, about):
    """Writes the results, one look a line; those of other parts and approaches that the file has are kept."""
    before = {}
    if os.path.exists(path):
        with open(path) as file:
            before = json.load(file)
    parts = before.get("parts", {}) | {part: about | {"seconds": round(seconds)} for part, seconds in bench.took.items()}
    looks = [look for look in before.get("results", []) if look["part"] not in bench.took or look["approach"] not in bench.names] + [
        look for look in bench.results if look["part"] in bench.took]
    head = {"parts": parts, "skipped": bench.skipped, "scenarios": bench.scenarios}
    lines = ",\n".join("    " + json.dumps(look) for look in looks)
    with open(path, "w") as file:
        file.write(json.dumps(head, indent=2)[:-2] + f',\n  "results": [\n{lines}\n  ]\n}}\n')


def check(bench):
    """What the report says of every run: over HTTPS bytes are the same each time but for what is explained there, and a stranger's bytes never run where
    signatures decide."""
    wrong, looks = [], {}
    for look in bench.results:
        approach = bench.scenarios["approaches"][look["approach"]]
        name = f"{look['scenario']} {look['approach']} {look['fleet']}"
        if look["scenario"] in ("first", "nothing") and approach.get("trust") and not approach.get("local") \
                and look["approach"] != "grpc" and bench.link.kind == "network namespaces":
            figures = [look[figure] for figure in ("bytesUp", "bytesDown", "connections")]
            before = looks.setdefault(name, figures)
            # Down, two things are not ours to fix: the length of an answer's Date in HPACK depends on its digits (RFC 7541), and
            # upload-pack passes a pack on in pieces of five bytes more (gitprotocol-pack, side-band-64k).
            if before[::2] != figures[::2] or abs(before[1] - figures[1]) > 0.01 * before[1]:
                wrong.append(f"{name}: {figures} after {before}")
        if look["scenario"] in ("attacked", "meddled") and approach.get("trust") == "signature" and look["fooled"]:
            wrong.append(f"{name}: runs a stranger's bytes")
        if look["scenario"] == "attacked" and approach.get("trust") == "signature" and look["status"] not in (3, 4):
            wrong.append(f"{name}: status {look['status']}")
        if look["scenario"] == "firewall" and approach.get("ours") and look["status"]:
            wrong.append(f"{name}: status {look['status']} behind a firewall that lets HTTPS pass")
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(bench.results)} passed, 0 failed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--reference-server")
    parser.add_argument("--grpc", help="where grpc-agent and grpc-server are")
    parser.add_argument("--fleet-poll", help="the program of Comparison/Fleet")
    parser.add_argument("--reduced", action="store_true")
    parser.add_argument("--relay", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("--parts", default=",".join(Bench.parts))
    parser.add_argument("--scenarios", default=os.path.join(here, "scenarios.json"))
    parser.add_argument("--check", action="store_true", help="fail if the results are not what the report relies on")
    parser.add_argument("--build", default="debug", help="what kind of build the program is, for the report")
    parser.add_argument("--output", help="add the results to this file")
    options = parser.parse_args()
    with open(options.scenarios) as file:
        scenarios = json.load(file)
    if options.reduced:
        scenarios = merged(scenarios, scenarios["reduced"])
    programs = {"reference-server": options.reference_server,
                "fleet-poll": options.fleet_poll, "grpc-agent": options.grpc and os.path.join(options.grpc, "grpc-agent"),
                "grpc-server": options.grpc and os.path.join(options.grpc, "grpc-server")}
    # A crowd of devices has a connection each.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 40000), most))
    # So that servers and namespaces end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    root = tempfile.mkdtemp(prefix="comparison-")
    link = lay_link(options.relay)
    try:
        os.chmod(root, 0o755)
        bench = Bench(root, scenarios, link, os.path.abspath(options.program), programs,
                      options.only and options.only.split(","))
        for name, why in bench.skipped.items():
            print(f"without {name}: {why}", file=sys.stderr)
        bench.start()
        try:
            bench.perform(options.parts.split(","))
            if options.check:
                check(bench)
        finally:
            bench.servers.stop()
            # What was finished is kept, also when something later broke.
            if options.output:
                write(options.output, bench, {
                    "link": link.kind, "reduced": options.reduced, "program": options.build,
                    "versions": versions(options.program)})
    finally:
        link.close()
        shutil.rmtree(root, ignore_errors=True) if not os.environ.get("KEEP") else print(root, file=sys.stderr)


if __name__ == "__main__":
    main()
