#!/usr/bin/env python3
"""Writes Documentation/Comparison.md and its charts from the results and from report.md, which has the words.

usage: report.py            write them
       report.py --check    fail if they are not what the results say
"""
import json, os, re, statistics, sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "harness"))
import charts

documentation = os.path.join(os.path.dirname(here), "Documentation")
results_file = os.path.join(documentation, "Comparison", "results.json")


class Results:
    def __init__(self, data, agreement=None):
        self.data, self.looks, self.agreement = data, data["results"], agreement
        self.approaches = data["scenarios"]["approaches"]

    def find(self, scenario, approach, link="count", fleet=None, **more):
        return [look for look in self.looks
                if (look["scenario"], look["approach"], look["link"]) == (scenario, approach, link)
                and (fleet is None or look["fleet"] == fleet) and all(look.get(name) == more[name] for name in more)]

    def value(self, figure, scenario, approach, link="count", fleet=None, **more):
        """The median over the repetitions; nil if it was not measured."""
        looks = self.find(scenario, approach, link, fleet, **more)
        if not looks:
            return None
        if figure == "bytes":
            return statistics.median(look["bytesUp"] + look["bytesDown"] for look in looks)
        values = [look[figure] for look in looks if look.get(figure) is not None]
        return statistics.median(values) if values else None

    def names(self, *scenarios, network=False):
        there = {look["approach"] for look in self.looks if not scenarios or look["scenario"] in scenarios}
        return [name for name in self.approaches
                if name in there and not (network and self.approaches[name].get("local"))]

    def title(self, name):
        return self.approaches[name]["title"]


def number(value, digits=3):
    """For a reader: 12 300, 0.18."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{round(value):,}".replace(",", " ")
    return f"{value:.{digits}g}"


def size(value):
    if value is None:
        return "–"
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{round(value)} B"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


class Report:
    """What stands between {{ and }} in report.md is a call of one of these."""
    def __init__(self, results):
        self.results = results

    # MARK: - Single figures

    def size(self, scenario, approach, fleet=None, link="count"):
        return size(self.results.value("bytes", scenario, approach, link, int(fleet) if fleet else None))

    def trips(self, scenario, approach, fleet=None, link="count"):
        return number(self.results.value("roundTrips", scenario, approach, link, int(fleet) if fleet else None))

    def ms(self, figure, scenario, approach, fleet=None, link="count"):
        value = self.results.value(figure, scenario, approach, link, int(fleet) if fleet else None)
        return number(value and value * 1000)

    def seconds(self, scenario, approach, link, fleet=None):
        return number(self.results.value("seconds", scenario, approach, link, int(fleet) if fleet else None))

    def disk(self, approach, updates="last"):
        if updates == "last":
            updates = self.updates()
        return size(self.results.value("storage", "storage", approach, "none", updates=int(updates)))

    def memory(self, scenario, approach, fleet=None, link="count"):
        value = self.results.value("memory", scenario, approach, link, int(fleet) if fleet else None)
        return size(value and value * 1024)

    def build(self, part):
        return self.results.data["parts"].get(part, {}).get("program", "–")

    def about(self):
        parts = self.results.data["parts"]
        rows = [(part, about["program"], about["link"], f"{about['seconds']} s") for part, about in parts.items()]
        kinds = {name: text for about in parts.values() for name, text in about["versions"].items() if text}
        tools = ", ".join(f"{name}: {text}" for name, text in kinds.items())
        return table(("part", "desired-state is a … build", "link", "took"), rows) + f"\n\n{tools}"

    def updates(self):
        return max((look["updates"] for look in self.results.looks if look["scenario"] == "storage"), default=0)

    def missed(self):
        return self.results.data["scenarios"]["missed"]

    def count(self):
        kinds = {name for name in self.results.names("first") if self.results.approaches[name].get("ours")}
        return len(kinds)

    def servers(self):
        return "grpc-server (grpc-swift)" if "grpc" in self.results.names() else "and no gRPC server in this run"

    # MARK: - Tables

    def bound(self, scenario, fleet):
        """What the line alone takes: its round trips and its bytes."""
        lines = {name: line for name, line in self.results.data["scenarios"]["links"].items() if name != "count"}
        rows = []
        for name in self.results.names(scenario, network=True):
            trips = self.results.value("roundTrips", scenario, name, "count", int(fleet))
            if trips is None:
                continue
            total = self.results.value("bytes", scenario, name, "count", int(fleet))
            rows.append((self.results.title(name), *(
                number(2 * line["delay"] * trips + (8 * total / line["rate"] if "rate" in line else 0))
                for line in lines.values())))
        return table(("seconds", *(line["title"] for line in lines.values())), rows)

    def looks(self, scenario, fleet):
        fleet, results = int(fleet), self.results
        rows = []
        for name in results.names(scenario):
            get = lambda figure: results.value(figure, scenario, name, "count", fleet)
            if get("seconds") is None:
                continue
            local = results.approaches[name].get("local")
            rows.append((results.title(name), *(
                ("–",) * 5 if local else (number(get("bytesUp")), number(get("bytesDown")), number(get("roundTrips")),
                                         number(get("connections")), ", ".join(map(str, self.ports(scenario, name))))),
                number(get("cpu") * 1000), size(get("memory") * 1024)))
        return table(("", "bytes up", "bytes down", "round trips", "connections", "port", "CPU, ms", "peak memory"), rows)

    def ports(self, scenario, name):
        return sorted({port for look in self.results.find(scenario, name) for port in look["ports"]})

    def sizes(self, figure, scenario):
        fleets = sorted({look["fleet"] for look in self.results.looks if look["scenario"] == scenario})
        rows = []
        for name in self.results.names(scenario, network=figure in ("bytes", "roundTrips")):
            values = [self.results.value(figure, scenario, name, "count", fleet) for fleet in fleets]
            show = {"bytes": size, "memory": lambda value: size(value and value * 1024)}.get(figure, number)
            rows.append((self.results.title(name), *map(show, values)))
        return table(("", *(f"{fleet} documents" for fleet in fleets)), rows)

    def lines(self, scenario, fleet):
        links = [link for link in self.results.data["scenarios"]["links"] if link != "count"]
        rows = []
        for name in self.results.names(scenario, network=True):
            values = [self.results.value("seconds", scenario, name, link, int(fleet)) for link in links]
            if any(value is not None for value in values):
                rows.append((self.results.title(name), *map(number, values)))
        if not rows:
            return "Times over these lines were not measured in the published run (the machine was busy with other work); `make compare` does."
        return table(("seconds", *(self.results.data["scenarios"]["links"][link]["title"] for link in links)), rows)

    def loop(self):
        rows = []
        for name in self.results.names("loop"):
            get = lambda figure: self.results.value(figure, "loop", name, "kept")
            rows.append((self.results.title(name), number(get("bytesUp")), number(get("bytesDown")),
                         number(get("tcpUp") + get("tcpDown")), number(get("roundTrips")), number(get("cpu") * 1000),
                         number(get("serverCPU") and get("serverCPU") * 1000),
                         size(get("memory") * 1024)))
        return table(("", "bytes up", "bytes down", "both, with TLS records", "round trips", "device CPU, ms", "server CPU, ms", "memory"), rows)

    def storage(self):
        marks = sorted({look["updates"] for look in self.results.looks if look["scenario"] == "storage"})
        rows = [(self.results.title(name), *(self.disk(name, mark) for mark in marks))
                for name in self.results.names("storage")]
        return table(("", *(f"after {mark} update{'s' * (mark > 1)}" for mark in marks)), rows)

    def outcome(self, *scenarios):
        heads = {"attacked": "server taken over", "healed": "server right again", "inspected": "a proxy reads",
                 "meddled": "a proxy changes bytes", "firewall": "only port 443 passes"}
        rows = []
        for name in self.results.names(*scenarios):
            row = [self.results.title(name)]
            for scenario in scenarios:
                look = next((look for look in self.results.looks
                             if look["scenario"] == scenario and look["approach"] == name), None)
                row.append(self.word(scenario, look))
            rows.append(row)
        return table(("", *(heads[scenario] for scenario in scenarios)), rows)

    @staticmethod
    def word(scenario, look):
        if look is None:
            return "–"
        if look.get("fooled"):
            return "**runs the stranger's bytes**"
        if look["status"] == 0:
            read = look.get("readByProxy")
            return "follows" + (f" ({read} requests read)" if scenario == "inspected" and read else "")
        if look["status"] == 124:
            return "waits for ever"
        return "keeps its state: `" + (look.get("code") or f"status {look['status']}") + "`"

    def verdict(self, scenario, approach):
        look = next((look for look in self.results.looks if (look["scenario"], look["approach"]) == (scenario, approach)), None)
        return self.word(scenario, look).replace("`", "")

    def reports(self):
        rows = []
        for name in self.results.names("reporting"):
            quiet, told = (self.results.find(scenario, name)[0] for scenario in ("silent", "reporting"))
            count = told["acknowledged"] or 1
            rows.append((self.results.title(name), told["acknowledged"], number(told["bytesUp"] - quiet["bytesUp"]),
                         number((told["bytesUp"] - quiet["bytesUp"]) / count), told["roundTrips"] - quiet["roundTrips"]))
        return table(("", "acknowledgements", "bytes up for them", "each", "round trips for them"), rows)

    def failover(self):
        rows = []
        for name in self.results.names("silent-source"):
            rows.append((self.results.title(name), *(
                number(self.results.value("seconds", scenario, name, "lan"))
                for scenario in ("silent-source", "refusing-source"))))
        return table(("second source", "the first does not answer, s", "the first refuses, s"), rows)

    def many(self):
        rows = []
        for name in self.results.names("many-nothing"):
            row = [self.results.title(name)]
            for alone, many in (("first", "many-first"), ("nothing", "many-nothing")):
                fleet = self.results.find(many, name)[0]["fleet"]
                row += [size(self.results.value("bytes", alone, name, "count", fleet)),
                        size(self.results.value("bytes", many, name, "count", fleet))]
            rows.append(row)
        count = max((look["devices"] for look in self.results.looks if look["scenario"] == "many-nothing"), default=0)
        return table(("", "first sync, 1 device", f"of {number(count)}", "nothing new, 1 device", f"of {number(count)}"), rows)

    # MARK: - Fleets

    def fleets(self, interval="300"):
        rows = []
        for name in self.results.names("loop"):
            get = lambda figure: self.results.value(figure, "loop", name, "kept")
            for devices in (1_000, 100_000, 10_000_000):
                rate = devices / int(interval)
                rows.append((self.results.title(name), number(devices), number(rate), number((rate * get("serverCPU")) if get("serverCPU") is not None else None),
                             size(rate * (get("bytesUp") + get("bytesDown"))) + "/s",
                             size(86400 * rate * (get("bytesUp") + get("bytesDown")))))
        return table(("", "devices", "polls a second", "server cores", "traffic", "a day"), rows)

    def crowd(self):
        look = next((look for look in self.results.looks if look["scenario"] == "fleet"), None)
        if not look:
            return ""
        return (f"A run of {number(look['devices'])} simulated devices (our client library, each with a connection of its own, jittered) against "
                f"nginx on one machine: {number(look['pollsPerSecond'])} polls a second, {look['failures']} failures, "
                f"{number(look['serverCPU'] * 1e6)} µs of server CPU a poll; h2load with the same requests {number(look['peerCPU'] * 1e6)} µs, "
                f"a ratio of {look['serverCPU'] / look['peerCPU']:.2f}.\n\n")

    def anchored(self):
        look = next((look for look in self.results.looks if look["scenario"] == "anchor"), None)
        if not look:
            return ""
        return (f"nginx spends {number(look['serverCPU'] * 1e6)} µs of CPU on a poll of our client, and {number(look['peerCPU'] * 1e6)} µs on "
                f"the same request by h2load at the same pace: a ratio of {look['serverCPU'] / look['peerCPU']:.2f} over {look['polls']} polls.\n\n")

    def agreed(self):
        """How far two runs agree, by approach; and times, as ratios to a drop over HTTPS."""
        found = self.results.agreement
        if not found:
            return "A second run was not made."
        rows = []
        for name in (name for name in self.results.approaches if name in found["bytes"]):
            of, trips = found["bytes"][name], found["trips"].get(name, {})
            rows.append((self.results.title(name), of["looks"], of["equal"], number(of["up"]), number(of["down"]),
                         f"{100 * of['share']:.2g} %" if of["share"] else "0", f"{trips.get('equal', 0)} of {trips.get('looks', 0)}",
                         trips.get("most", 0)))
        text = table(("", "polls", "equal to the byte", "most apart, up", "most apart, down", "largest share",
                      "round trips equal", "most apart"), rows)
        for figure, what in (("seconds", "Seconds over the lines"), ("cpu", "CPU")):
            times = found["times"].get(figure)
            if times:
                far = ", ".join(f"{self.results.title(one['approach'])} ({one['scenario']}, {one['link']}, {one['fleet']} documents: "
                                f"{one['first']:.2f} and {one['second']:.2f})" for one in times["far"])
                text += (f"\n\n{what}, as ratios to a drop over HTTPS: {times['within']} of {times['ratios']} are within 30 % of each other, "
                         f"in the median they differ by {100 * (times['median'] - 1):.1f} %." + (f" Farther apart: {far}." if far else ""))
        return text

    def chart(self, name, words):
        return f"![{words}](Comparison/{name}.svg)"


def render(results):
    report = Report(results)
    with open(os.path.join(here, "report.md")) as file:
        text = file.read()

    def fill(match):
        call, *words = re.findall(r'"[^"]*"|\S+', match.group(1))
        return str(getattr(report, call)(*(word.strip('"') for word in words)))

    head = "<!-- Written by 'make comparison-report' from Comparison/report.md and Comparison/results.json: change those. -->\n"
    return {"Comparison.md": head + re.sub(r"\{\{(.+?)\}\}", fill, text)} | {
        f"Comparison/{name}.svg": text for name, text in charts.all(results).items()}


def main():
    with open(results_file) as file:
        data = json.load(file)
    second = os.path.join(os.path.dirname(results_file), "agreement.json")
    agreement = None
    if os.path.exists(second):
        with open(second) as file:
            agreement = json.load(file)
    results = Results(data, agreement)
    wrong = []
    for name, text in render(results).items():
        path = os.path.join(documentation, name)
        if "--check" in sys.argv:
            if not os.path.exists(path) or open(path).read() != text:
                wrong.append(name)
        else:
            with open(path, "w") as file:
                file.write(text)
    if wrong:
        sys.exit(f"{', '.join(wrong)}: not what the results say; run 'make comparison-report'")


if __name__ == "__main__":
    main()
