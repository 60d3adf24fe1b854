"""The scenarios in which something is wrong: the outcome counts."""
import os, shutil, subprocess
from device import Device


class Trouble:
    """A part of `Bench`."""

    def attacked(self):
        """The server is in the hands of an attacker, who has none of the keys; then it is right again."""
        fleet = min(self.scenarios["fleets"])
        site = self.site(fleet)
        self.link.shape()
        devices = [Device(self, name, fleet, "attacked") for name in self.names]
        for device in devices:
            self.expect(device, device.look())
        site.attack()
        for device in devices:
            figures = device.look()
            self.note("attacked", device, "none", figures, fooled=device.holds("revision: 1.4.666"), code=code(figures))
        site.write(0)
        site.change(1)
        for device in devices:
            # The git program does not come back from a branch that its holder has rewritten or spoilt.
            figures = device.look()
            self.note("healed", device, "none", figures, code=code(figures), fooled=device.holds("revision: 1.4.666"))
            shutil.rmtree(device.work)

    def inspected(self):
        """A proxy that opens TLS, which the device has been told to believe: it reads, and then it changes."""
        fleet = min(self.scenarios["fleets"])
        site = self.site(fleet)
        self.link.shape()
        inspector = self.link.seen_by_device()["inspector"]
        where = {name: inspector for name in ("address", "margo", "grpc")}
        for scenario, meddling in (("inspected", False), ("meddled", True)):
            self.servers.inspect(meddling)
            for name in self.names:
                if self.scenarios["approaches"][name].get("local") or name == "rsync":
                    continue
                device = Device(self, name, fleet, scenario)
                before = self.servers.inspected()
                figures = device.look(authority="proxy-ca.pem", **where)
                self.note(scenario, device, "inspector", figures, fooled=device.holds("revision: 6.6."),
                          readByProxy=self.servers.inspected() - before, code=code(figures))
                shutil.rmtree(device.work)
        self.servers.inspect(False)

    def firewalled(self):
        """Only port 443 passes."""
        fleet = min(self.scenarios["fleets"])
        site = self.site(fleet)
        self.link.shape()
        self.link.shape(ports=[443])
        for name in self.names:
            if not self.scenarios["approaches"][name].get("local"):
                device = Device(self, name, fleet, "firewall")
                options = {"options": ["--timeout", "10s"]} if device.approach.get("ours") and name != "grpc" else {}
                figures = device.look(limit=30, **options)
                self.note("firewall", device, "firewall", figures, code=code(figures))
                shutil.rmtree(device.work)
        self.link.shape()

    def reporting(self):
        """The acknowledgement of a full rollout: every document is reported. Beside it the same without a word."""
        fleet = min(self.scenarios["fleets"])
        site = self.site(fleet)
        self.link.shape()
        self.shape("count")
        for name in self.names:
            if "reporting" in self.scenarios["approaches"][name]:
                for scenario, variant in (("silent", None), ("reporting", "reporting")):
                    device = Device(self, name, fleet, scenario, variant)
                    options = [] if name == "grpc" else ["--on-apply", "cat > /dev/null"]
                    figures = self.expect(device, device.look(options=options))
                    said = sum(event["event"] == "acknowledged" for event in figures["events"])
                    self.note(scenario, device, "count", figures, acknowledged=said)
                    shutil.rmtree(device.work)

    def failover(self):
        """Two sources: one that does not answer (or that refuses), one that does."""
        fleet = min(self.scenarios["fleets"])
        site = self.site(fleet)
        self.link.shape()
        self.shape("lan")
        good = {name: Device(self, name, fleet, "failover") for name in ("drop-https", "drop-git") if name in self.names}
        if "drop-https" not in good:
            return
        address = self.link.seen_by_device()["address"]
        host, port = address.rsplit(":", 1)
        silent = "10.77.0.99:443" if host.startswith("10.") else "127.0.0.1:9"
        for scenario, dead in (("silent-source", silent), ("refusing-source", f"{host}:9")):
            for name, device in good.items():
                device.fresh()
                sources = [f"https://{dead}/drop/manifest.json", device.source()]
                figures = self.expect(device, device.look(sources=sources, options=["--timeout", "10s"]))
                self.note(scenario, device, "lan", figures)
        for device in good.values():
            shutil.rmtree(device.work)

    def devices(self):
        """Many devices have their state in one source; one of them looks."""
        fleet = min(self.scenarios["fleets"])
        site, count = self.site(fleet), max(self.scenarios["devices"])
        many = os.path.join(self.root, "site", "many")
        os.makedirs(many)
        for number in range(count):
            os.symlink(site.drop, os.path.join(many, f"device-{number}"))
            os.symlink(site.client, os.path.join(os.path.dirname(site.client), f"device-{number}"))
        for name in ("drop", "plain"):
            folder = site.repository(name)
            head = subprocess.run(["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, check=True).stdout.strip()
            orders = b"".join(b"create refs/heads/device-%d %s\n" % (number, head) for number in range(count))
            subprocess.run(["git", "-C", folder, "update-ref", "--stdin"], input=orders, check=True)
            subprocess.run(["git", "-C", folder, "pack-refs", "--all"], check=True)
        self.shape("count")
        for name in self.names:
            if "many" in self.scenarios["approaches"][name]:
                device = Device(self, name, fleet, "many", "many")
                self.note("many-first", device, "count", self.expect(device, device.look()), devices=count)
                self.note("many-nothing", device, "count", self.expect(device, device.look()), devices=count)
                shutil.rmtree(device.work)


def code(figures):
    return next((event["code"] for event in figures["events"]
                 if event["event"] in ("rejected", "unavailable", "absent") and "code" in event), None)
