"""The scenarios, one method each. What they measure goes into `results`, one record a look."""
import json, os, resource, shutil, statistics, subprocess, sys, time
from device import Device
from publication import Keys, Site, run
from servers import Servers
from trouble import Trouble


class Bench(Trouble):
    def __init__(self, root, scenarios, link, program, programs, only=None):
        self.root, self.scenarios, self.link = root, scenarios, link
        self.program, self.programs = program, programs
        self.tools = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools")
        self.results, self.skipped = [], {}
        self.keys = Keys(os.path.join(root, "keys"), link.addresses)
        self.names = [name for name in scenarios["approaches"] if (not only or name in only) and self.has(name)]
        self.forms = {"git", "bundle", "ostree", "margo"} - ({"ostree"} if "ostree" not in self.names else set())
        self.servers = Servers(root, link, self.keys, programs)
        self.starting = self.calibrate()
        self.sites, self.part, self.took = {}, None, {}

    def has(self, name):
        need = self.scenarios["approaches"][name].get("needs")
        if need and not (self.programs.get(need) or need not in self.programs and shutil.which(need)):
            self.skipped[name] = f"{need} is not here"
            return False
        return True

    def calibrate(self):
        """What starting a command costs by itself, to take it off."""
        def one():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([*self.link.inDevice, "/usr/bin/time", "-q", "-o", "/dev/null", "true"])
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return statistics.median(one() for _ in range(9))

    def start(self):
        self.link.shape()
        self.servers.nginx()
        if "rsync" in self.names:
            self.servers.sshd()
        if "margo" in self.names:
            self.servers.manager()
        if "grpc" in self.names:
            self.servers.grpc()

    def site(self, fleet):
        if fleet not in self.sites:
            self.sites[fleet] = Site(self.root, fleet, self.program, self.keys, self.forms)
        return self.sites[fleet]

    def server_cpu(self, name):
        serving = {"drop-https": ["nginx"], "drop-git": ["nginx", "fcgiwrap"], "plain-git": ["nginx", "fcgiwrap"],
                   "margo": ["manager"], "grpc": ["grpc"]}.get(name)
        return serving and sum(self.servers.all[server].cpu() for server in serving)

    def shape(self, link):
        line = self.scenarios["links"][link]
        self.link.shape(**{name: line[name] for name in ("delay", "rate", "loss") if name in line})

    def note(self, scenario, device, link, figures, number=0, **more):
        if figures.get("status"):
            more["errors"] = figures.get("errors", "")
        figures.pop("errors", None)
        record = {"part": self.part, "scenario": scenario, "approach": device.name, "link": link, "fleet": device.fleet, "number": number}
        self.results.append(record | figures | more)
        print(f"{scenario:14} {device.name:11} {link:9} {device.fleet:5}: {figures.get('bytesUp', 0):8.0f} up "
              f"{figures.get('bytesDown', 0):9.0f} down {figures.get('roundTrips', 0):5.1f} round trips "
              f"{figures.get('seconds', 0):7.2f} s {figures.get('cpu', 0) * 1000:7.1f} ms"
              + (f" status {figures['status']} {more.get('errors', '')}" if figures.get("status") else ""),
              file=sys.stderr, flush=True)

    def expect(self, device, figures):
        """An approach that does not do what it is measured at is a fault of the comparison."""
        if figures["status"]:
            raise RuntimeError(f"{device.name} ended with {figures['status']}: {figures['errors']} {figures['events']}")
        return figures

    parts = ["costs", "over", "storage", "loops", "anchor", "fleet", "attacked", "inspected", "firewalled", "reporting", "failover", "devices"]

    def perform(self, parts):
        """The parts that are named; `took` has how long those took that were finished."""
        for self.part in parts:
            begun = time.monotonic()
            if self.part == "costs":
                for fleet in self.scenarios["fleets"]:
                    self.costs(fleet)
            elif self.part == "over":
                for link, repeat in self.scenarios["over"]["links"].items():
                    for fleet in self.scenarios["over"]["fleets"]:
                        self.over(link, fleet, repeat)
            else:
                {"storage": self.storage, "loops": self.loops, "anchor": self.anchor, "fleet": self.fleet, "attacked": self.attacked, "inspected": self.inspected,
                 "firewalled": self.firewalled, "reporting": self.reporting, "failover": self.failover,
                 "devices": self.devices}[self.part]()
            self.took[self.part] = time.monotonic() - begun

    def looks(self, scenario, devices, link, repeat, before=None, fresh=False):
        """Looks of all devices, as often as it says; before each round something may happen at the site."""
        for number in range(repeat):
            if before:
                before(number)
            for device in devices:
                if fresh:
                    device.fresh()
                self.note(scenario, device, link, self.expect(device, device.look()), number)

    # MARK: - What each approach costs

    def costs(self, fleet):
        site, repeat = self.site(fleet), self.scenarios["repeat"]
        self.shape("count")
        devices = [Device(self, name, fleet, "count") for name in self.names]
        self.looks("first", devices, "count", repeat, fresh=True)
        self.looks("nothing", devices, "count", repeat)
        steps = {"changed": site.change, "added": lambda _: site.add(), "removed": site.remove}
        for scenario in self.scenarios["steps"]:
            self.looks(scenario, devices, "count", repeat, before=steps[scenario])
        for _ in range(self.scenarios["missed"]):
            site.change(max(site.present))
        for device in devices:
            self.note("absence", device, "count", self.expect(device, device.look()))
        for device in devices:
            shutil.rmtree(device.work)

    def over(self, link, fleet, repeat):
        """The same over a line, for the time it takes."""
        site = self.site(fleet)
        self.shape(link)
        devices = [Device(self, name, fleet, link) for name in self.names
                   if not self.scenarios["approaches"][name].get("local")]
        self.looks("first", devices, link, repeat, fresh=True)
        self.looks("nothing", devices, link, repeat)
        self.looks("changed", devices, link, repeat, before=lambda _: site.change(max(site.present)))
        for device in devices:
            shutil.rmtree(device.work)

    def storage(self):
        fleet, marks = self.scenarios["updates"]["fleet"], self.scenarios["updates"]["marks"]
        site = self.site(fleet)
        self.link.shape()
        devices = [Device(self, name, fleet, "storage") for name in self.names]
        for device in devices:
            self.expect(device, device.look())
        for update in range(1, max(marks) + 1):
            site.change(min(site.present) + update % len(site.present))
            for device in devices:
                figures = self.expect(device, device.look())
                if update in marks:
                    self.note("storage", device, "none", figures, update, storage=device.storage(), updates=update)
        for device in devices:
            shutil.rmtree(device.work)

    def loops(self):
        loop = self.scenarios["loop"]
        self.site(loop["fleet"])
        self.link.shape(delay=0.02)
        for name in self.names:
            device = Device(self, name, loop["fleet"], "loop")
            if device.approach.get("ours") and not device.approach.get("local"):
                self.expect(device, device.look())
                self.note("loop", device, "kept", device.loop(loop["polls"], loop["interval"]))

    @staticmethod
    def question(site):
        """What makes h2load ask as our client does: for the manifest, if it is another by now."""
        status = os.stat(os.path.join(site.drop, "manifest.json"))
        return ["-H", "accept: application/json", "-H", f'if-none-match: "{int(status.st_mtime):x}-{status.st_size:x}"']

    def anchor(self):
        """nginx's CPU for a poll of our client, and for the same request by h2load at the same pace."""
        if not shutil.which("h2load") or "drop-https" not in self.names:
            return
        loop = self.scenarios["loop"]
        site, polls = self.site(loop["fleet"]), 10 * loop["polls"]
        self.link.shape(delay=0.0005)
        device = Device(self, "drop-https", loop["fleet"], "anchor")
        self.expect(device, device.look())
        ours = device.loop(polls, "200ms")
        command = ["h2load", "-c", "1", "-m", "1", "--rps=5", *self.question(site), device.source()]

        def spent(count):
            before = self.server_cpu("drop-https")
            run(*self.link.inDevice, *command, "-n", str(count))
            return self.server_cpu("drop-https") - before
        # The second time longer: what is left is without the connection.
        short, long = spent(polls // 10), spent(polls // 10 + polls)
        self.note("anchor", device, "lan", ours, peerCPU=round((long - short) / polls, 8))
        shutil.rmtree(device.work)

    def fleet(self):
        """Thousands of devices of our client library against nginx, each with a connection of its own; then the same requests,
        on as many connections and at the same pace, by h2load."""
        program = self.programs.get("fleet-poll")
        if not program or not shutil.which("h2load"):
            return
        plan, documents = self.scenarios["fleet"], min(self.scenarios["fleets"])
        site, share = self.site(documents), plan["devices"] // plan["processes"]
        source = f"https://{self.link.endpoints()['address']}/{documents}/drop/manifest.json"
        command = [*self.link.inServer, program, source, self.keys["ca.pem"], str(share), str(plan["interval"]), str(plan["looks"])]
        crowd = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(plan["processes"])]
        try:
            begun = [json.loads(process.stdout.readline()) for process in crowd]
            before, start = self.server_cpu("drop-https"), time.monotonic()
            for process in crowd:
                process.stdin.write("go\n")
                process.stdin.flush()
            ended = [json.loads(process.stdout.readline()) for process in crowd]
            seconds, cpu = time.monotonic() - start, self.server_cpu("drop-https") - before
        finally:
            for process in crowd:
                process.kill()
                process.communicate()
        polls = sum(line["polls"] for line in ended)
        # One connection after another, as evenly as devices look, so that requests come one by one as theirs do: a server answers many
        # that come at once for less. Connecting is not counted, as above, and the end not.
        period = max(1, round(1000 * plan["interval"] / plan["devices"]))
        begin, answered = self.servers.answered(), lambda: self.servers.answered() - begin
        peer = subprocess.Popen(
            [*self.link.inServer, "h2load", "-c", str(plan["devices"]), "-r", "1", f"--rate-period={period}ms",
             "-m", "1", f"--rps={1 / plan['interval']}", "-n", str((2 + plan["looks"]) * plan["devices"]),
             *self.question(site), source],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            marks = []
            for count in (plan["devices"], (1 + plan["looks"]) * plan["devices"]):
                while (now := answered()) < count:
                    if peer.poll() is not None:
                        raise RuntimeError(f"h2load ended after {now} requests")
                    time.sleep(0.2)
                marks.append((now, self.server_cpu("drop-https")))
            (first, at), (last, spent) = marks
        finally:
            peer.kill()
            peer.wait()
        device = Device(self, "drop-https", documents, "fleet")
        self.note("fleet", device, "loopback", {
            "devices": share * plan["processes"], "polls": polls, "seconds": round(seconds, 2), "pollsPerSecond": round(polls / seconds, 1),
            "failures": sum(line["failures"] for line in begun + ended), "serverCPU": round(cpu / polls, 8),
            "peerCPU": round((spent - at) / (last - first), 8), "peerPolls": last - first})
