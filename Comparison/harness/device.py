"""One look of a device: the command of an approach, run in the device's namespace, and what it cost."""
import json, os, resource, shutil, subprocess, time
from publication import environment


class Device:
    """What an approach keeps for one fleet over one link, in a directory of its own."""
    def __init__(self, bench, name, fleet, tag, variant=None):
        self.bench, self.name, self.fleet = bench, name, fleet
        self.approach = bench.scenarios["approaches"][name]
        # What is different when it reports, or is one of many.
        self.approach = self.approach | self.approach.get(variant, {})
        self.work = os.path.join(bench.root, "device", f"{name}-{fleet}-{tag}")
        self.fresh()

    def fresh(self):
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)

    def names(self, **more):
        bench = self.bench
        return bench.link.seen_by_device() | {
            "one": max(bench.scenarios["devices"]) // 2, "fleet": self.fleet, "keys": bench.keys.directory, "work": self.work, "program": bench.program,
            "tools": bench.tools, "site": os.path.join(bench.root, "site"),
            "authority": bench.keys[more.pop("authority", "ca.pem")], "sshd": bench.link.seen_by_device()["ssh"].rsplit(":", 1)[0]} | more

    def holds(self, text):
        """Whether what the device has put in place contains a text."""
        # A tree that was in place before may still be beside the present one.
        place = next((path for path in (self.work + "/into/current/", self.work + "/into/") if os.path.exists(path)), self.work)
        found = subprocess.run(
            ["grep", "-rqF", "--exclude-dir=.git", "--exclude-dir=store", "--exclude-dir=repo", text, place])
        return found.returncode == 0

    def source(self, **more):
        return self.approach["source"].format(**self.names(**more))

    def command(self, sources=None, once=True, options=(), **more):
        if not self.approach.get("ours"):
            key = "again" if "again" in self.approach and os.listdir(self.work) else "first"
            return [part.format(**self.names(**more)) for part in self.approach[key]]
        keys = self.bench.keys
        trust = {"signature": ["--trust", keys["allowed_signers"]], "channel": ["--trust-channel"],
                 "none": ["--accept-unsigned"]}[self.approach["trust"]]
        own = [part.format(**self.names(**more)) for part in self.approach.get("options", []) if not sources]
        program = self.bench.programs["grpc-agent"] if self.name == "grpc" else self.bench.program
        authority = [] if self.approach.get("local") else ["--tls-ca", keys[more.get("authority", "ca.pem")]]
        return [program, "follow", *(sources or [self.source(**more)]), "--store", self.work + "/store", "--into",
                self.work + "/into", "--device", "press-42", "--json", *trust, *authority, *options, *own,
                *(["--once"] if once else [])]

    def environment(self, authority="ca.pem"):
        keys = self.bench.keys
        configuration = {"safe.directory": "*", "gc.auto": "0", "gpg.format": "ssh",
                         "gpg.ssh.allowedSignersFile": keys["allowed_signers"], "http.sslCAInfo": keys[authority]}
        numbered = {"GIT_CONFIG_COUNT": str(len(configuration))}
        for number, (name, value) in enumerate(configuration.items()):
            numbered |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        return environment(GIT_CONFIG_GLOBAL="/dev/null", **numbered)

    def look(self, limit=600, **more):
        """Runs the command once. Figures in bytes, seconds, kilobytes."""
        command = self.command(**more)
        authority = more.get("authority", "ca.pem")
        report = os.path.join(self.bench.root, "time")
        open(report, "w").close()
        self.bench.link.begin()
        server = self.bench.server_cpu(self.name)
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            ["timeout", str(limit), *self.bench.link.inDevice, "/usr/bin/time", "-q", "-o", report, "-f", "%M", *command], cwd=self.work,
            env=self.environment(authority), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
        figures = self.bench.link.settled()
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - self.bench.starting
        if server is not None:
            figures["serverCPU"] = round(self.bench.server_cpu(self.name) - server, 6)
        with open(report) as file:
            # Empty if the command took too long.
            memory = int((file.read().split() or [0])[-1])
        return figures | {
            "seconds": round(seconds, 4), "cpu": round(max(0, cpu), 5), "memory": memory, "status": done.returncode,
            "events": events(done.stdout) if self.approach.get("ours") else [], "errors": done.stderr[-400:]}

    def loop(self, polls, interval):
        """Follows, and counts looks that find nothing new on the connection that is kept."""
        command = self.command(once=False, options=["--interval", interval, "--jitter", "0", "--start-spread", "0s"])
        process = subprocess.Popen(
            [*self.bench.link.inDevice, *command], cwd=self.work, env=self.environment(), stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        try:
            self.unchanged(process, 2)
            self.bench.link.figures(reset=True)
            server, device = self.bench.server_cpu(self.name), processor(process.pid)
            self.unchanged(process, polls)
            figures = self.bench.link.figures()
            per = {"cpu": (processor(process.pid) - device) / polls}
            if server is not None:
                per["serverCPU"] = (self.bench.server_cpu(self.name) - server) / polls
            with open(f"/proc/{process.pid}/status") as file:
                resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
            return figures | {
                "polls": polls, "bytesUp": figures["bytesUp"] / polls, "bytesDown": figures["bytesDown"] / polls,
                "tcpUp": figures.get("tcpUp", 0) / polls, "tcpDown": figures.get("tcpDown", 0) / polls,
                "roundTrips": figures["roundTrips"] / polls, "memory": resident} | {
                    name: round(value, 7) for name, value in per.items()}
        finally:
            process.terminate()
            process.communicate()

    @staticmethod
    def unchanged(process, count):
        for line in process.stdout:
            if json.loads(line).get("event") == "unchanged":
                count -= 1
                if not count:
                    return
        raise RuntimeError("the follower ended")

    def storage(self):
        """Bytes of disk under the device's directory; a file with two names counts once."""
        seen, total = set(), 0
        for folder, _, files in os.walk(self.work):
            for name in [".", *files]:
                status = os.lstat(os.path.join(folder, name))
                if status.st_ino not in seen:
                    seen.add(status.st_ino)
                    total += status.st_blocks * 512
        return total


def processor(process):
    total = 0
    for thread in os.listdir(f"/proc/{process}/task"):
        try:
            with open(f"/proc/{process}/task/{thread}/schedstat") as file:
                total += int(file.read().split()[0])
        except FileNotFoundError:
            continue
    return total / 1e9


def events(text):
    found = []
    for line in text.splitlines():
        event = json.loads(line)
        found.append({name: event[name] for name in ("event", "code", "version") if name in event})
    return found
