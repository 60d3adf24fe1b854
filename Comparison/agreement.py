#!/usr/bin/env python3
"""Says how far two runs of the comparison agree: bytes, round trips, and times as ratios.

usage: agreement.py FIRST.json SECOND.json [--output AGREEMENT.json]
       agreement.py --check RESULTS.json     that a run agrees with itself, and not with one that has another byte

Bytes and round trips are compared look by look, the n-th repetition with the n-th. Times are compared as a reader reads them: how
many times that of a drop over HTTPS an approach takes, in the median over the repetitions; seconds over the lines, and seconds of
CPU where there is no line.
"""
import argparse, json, statistics

PEER = "drop-https"
# Shorter than this a time is that of starting a program, in hundredths of a second.
CPU_FROM = 0.01


def keyed(looks):
    return {(look["scenario"], look["approach"], look["link"], look["fleet"], look["number"]): look
            for look in looks if "bytesUp" in look and look["link"] != "kept"}


def medians(looks):
    """Seconds over a line and of CPU, for each scenario, link, fleet and approach."""
    found = {}
    for look in looks:
        if look["scenario"] in ("first", "nothing", "changed", "added", "removed"):
            figure = "cpu" if look["link"] == "count" else "seconds"
            found.setdefault((figure, look["scenario"], look["link"], look["fleet"], look["approach"]), []).append(look[figure])
    return {key: statistics.median(values) for key, values in found.items()}


def ratios(looks):
    times = medians(looks)
    found = {}
    for key, value in times.items():
        peer = times.get((*key[:4], PEER))
        if peer and key[4] != PEER and (key[0] == "seconds" or min(peer, value) >= CPU_FROM):
            found[key] = value / peer
    return found


def compare(first, second):
    one, two = keyed(first["results"]), keyed(second["results"])
    both = sorted(one.keys() & two.keys())
    over_network = [key for key in both if one[key]["bytesUp"] + one[key]["bytesDown"]]
    outcome = {"looks": len(over_network), "bytes": {}, "trips": {}, "times": {}}
    for key in over_network:
        approach = outcome["bytes"].setdefault(key[1], {"looks": 0, "equal": 0, "up": 0, "down": 0, "share": 0.0})
        up, down = (abs(one[key][name] - two[key][name]) for name in ("bytesUp", "bytesDown"))
        approach["looks"] += 1
        approach["equal"] += not up and not down
        approach["up"], approach["down"] = max(approach["up"], up), max(approach["down"], down)
        approach["share"] = max(approach["share"], round((up + down) / (one[key]["bytesUp"] + one[key]["bytesDown"]), 5))
        trips = outcome["trips"].setdefault(key[1], {"looks": 0, "equal": 0, "most": 0})
        # Over a line that loses or is slow, a flight is cut where it happens to be: they are counted on the counting link.
        if key[2] == "count":
            apart = abs(one[key]["roundTrips"] - two[key]["roundTrips"])
            trips["looks"] += 1
            trips["equal"] += not apart
            trips["most"] = max(trips["most"], apart)
    before, after = ratios(first["results"]), ratios(second["results"])
    for figure in ("seconds", "cpu"):
        apart = {key: after[key] / before[key] for key in before.keys() & after.keys() if key[0] == figure}
        if apart:
            far = {key: value for key, value in apart.items() if not 1 / 1.3 <= value <= 1.3}
            outcome["times"][figure] = {
                "ratios": len(apart), "within": len(apart) - len(far),
                "median": round(statistics.median(max(value, 1 / value) for value in apart.values()), 3),
                "far": [{"scenario": key[1], "link": key[2], "fleet": key[3], "approach": key[4],
                         "first": round(before[key], 3), "second": round(after[key], 3)} for key in sorted(far)]}
    return outcome


def check(path):
    with open(path) as file:
        run = json.load(file)
    same = compare(run, run)
    assert same["looks"] and all(of["looks"] == of["equal"] for of in [*same["bytes"].values(), *same["trips"].values()]), same
    assert all(times["within"] == times["ratios"] for times in same["times"].values()), same
    other = json.loads(json.dumps(run))
    look = next(look for look in other["results"] if look["scenario"] == "first" and look["approach"] == PEER and look["link"] == "count")
    look["bytesUp"] += 1
    look["roundTrips"] += 1
    apart = compare(run, other)
    assert apart["bytes"][PEER]["looks"] == apart["bytes"][PEER]["equal"] + 1 and apart["trips"][PEER]["most"] == 1, apart


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("first")
    parser.add_argument("second", nargs="?")
    parser.add_argument("--output")
    options = parser.parse_args()
    if options.check:
        return check(options.first)
    runs = []
    for path in (options.first, options.second):
        with open(path) as file:
            runs.append(json.load(file))
    outcome = compare(*runs)
    text = json.dumps(outcome, indent=2) + "\n"
    if options.output:
        with open(options.output, "w") as file:
            file.write(text)
    print(text, end="")


if __name__ == "__main__":
    main()
