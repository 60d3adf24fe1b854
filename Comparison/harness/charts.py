"""Bars as SVG, for browsers and print, in light and dark."""
from html import escape

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .value, .note { fill: #59636e; font-size: 12px; }
  .ours { fill: #0969da; } .tool { fill: #9198a1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .value, .note { fill: #9198a1; }
    .ours { fill: #4493f8; } .tool { fill: #656c76; }
  }
  @media print { text, .value, .note { fill: #000; } .ours { fill: #000; } .tool { fill: #999; } }
"""
LEFT, WIDTH, ROW = 190, 760, 22


def bars(title, panels, show, note):
    """panels: (title, [(label, value, isOurs)])."""
    parts, y = [], 30
    parts.append(f'<text class="title" x="10" y="{y - 6}">{escape(title)}</text>')
    for head, rows in panels:
        y += 26
        parts.append(f'<text x="10" y="{y}" font-weight="600">{escape(head)}</text>')
        y += 10
        largest = max([value for _, value, _ in rows] or [1]) or 1
        for label, value, ours in rows:
            length = max(1.0, (WIDTH - LEFT - 110) * value / largest)
            parts.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>')
            parts.append(f'<rect class="{"ours" if ours else "tool"}" x="{LEFT}" y="{y + 3}" width="{length:.1f}" height="15" rx="2"/>')
            parts.append(f'<text class="value" x="{LEFT + length + 6:.1f}" y="{y + 15}">{escape(show(value))}</text>')
            y += ROW
    y += 22
    parts.append(f'<text class="note" x="10" y="{y}">{escape(note)}</text>')
    body = "\n  ".join(parts)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 14}" width="{WIDTH}" role="img" '
            f'aria-label="{escape(title)}">\n  <style>{STYLE}  </style>\n  {body}\n</svg>\n')


def all(results):
    from report import number, size
    legend = "Blue: DesiredState over that transport. Grey: the tool that one would use otherwise."
    fleets = sorted({look["fleet"] for look in results.looks if look["scenario"] == "first"})
    middle = 200 if 200 in fleets else fleets[-1]

    def panel(figure, scenario, link="count", fleet=middle, **more):
        rows = []
        for name in results.names(scenario, network=True):
            value = results.value(figure, scenario, name, link, fleet, **more)
            if value is not None:
                rows.append((results.title(name), value, bool(results.approaches[name].get("ours"))))
        return rows

    loop = max((look["fleet"] for look in results.looks if look["scenario"] == "loop"), default=middle)
    made = {
        "main": bars(
            "What a poll costs on the line", [
                ("Nothing new, on the connection that is kept", panel("bytes", "loop", "kept", loop)),
                ("Nothing new, connection and all", panel("bytes", "nothing")),
                (f"One of {middle} documents changed, connection and all", panel("bytes", "changed")),
            ], size, legend),
        "first": bars("The first sync", [(f"{fleet} documents", panel("bytes", "first", fleet=fleet)) for fleet in fleets],
                      size, legend),
        "trips": bars("Round trips of one poll", [
            ("Nothing new", panel("roundTrips", "nothing")),
            (f"One of {middle} documents changed", panel("roundTrips", "changed")),
            (f"First sync of {middle} documents", panel("roundTrips", "first"))], number, legend),
    }
    links = [(link, line) for link, line in results.data["scenarios"]["links"].items() if link != "count"]
    panels = []
    for _, line in links:
        rows = [(title, 2 * line["delay"] * trips + (8 * total / line["rate"] if "rate" in line else 0), ours)
                for (title, trips, ours), (_, total, _) in zip(panel("roundTrips", "changed"), panel("bytes", "changed"))]
        panels.append((line["title"] + ": " + line["about"], rows))
    made["adoption"] = bars(
        f"Seconds on the line until one changed document of {middle} is here", panels, lambda value: number(value) + " s", legend)
    stored = max((look["updates"] for look in results.looks if look["scenario"] == "storage"), default=None)
    if stored:
        made["storage"] = bars("Disk on the device", [
            (f"after {mark} update{'s' * (mark > 1)}", panel("storage", "storage", "none", None, updates=mark))
            for mark in sorted({look["updates"] for look in results.looks if look["scenario"] == "storage"})], size, legend)
    return made
