"""What people read: a table in the terminal and in bench/README.md; the whole is bench/results/DATE.json."""

import json
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from measure.programs import BENCH, BIN, ROOT
from measure.requests import PEERS, Outcome
from measure.statistics import ratio


def _first_line(command: list[str]) -> str:
    printed = subprocess.run(command, check=False, capture_output=True, text=True)
    return ((printed.stdout or printed.stderr).splitlines() or ["?"])[0].strip()


def _envoy_version() -> str:
    command = [str(BIN / "envoy"), "--version"]
    printed = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    found = re.search(r"/(\d+\.\d+\.\d+)/", printed)
    return found.group(1) if found else "?"


def machine() -> dict[str, str]:
    """Versions, processor and kernel: without them a figure says nothing."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": model.group(1) if model else platform.machine(),
        "kernel": platform.release(),
        "fairlead": _first_line([str(BIN / "fairlead"), "--version"]),
        "commit": _first_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]),
        "nginx": _first_line(["nginx", "-v"]),
        "haproxy": _first_line(["haproxy", "-v"]),
        "envoy": _envoy_version(),
    }


def verdicts(outcome: Outcome) -> list[str]:
    """Each bar of a request scenario with what was reached."""
    scenario = outcome.scenario
    lines = []
    if scenario.bar is not None:
        lines.append(_verdict(outcome.ratio().median, scenario.bar, "ratio"))
    if scenario.excess_bar is not None:
        lines.append(_verdict(outcome.excess().median, scenario.excess_bar, "excess"))
    if scenario.own_bar is not None:
        own = ratio(outcome.cpu["fairlead"], outcome.cpu["fairlead h1-small"])
        lines.append(_verdict(own.median, scenario.own_bar, "to own h1-small"))
    if outcome.calls:
        lines.append(f"{outcome.calls['I/O']:.2f} I/O calls")
    if outcome.failed.get("fairlead"):
        lines.append(f"{outcome.failed['fairlead']} FAILED")
    return lines


def _verdict(value: float, bar: float, what: str) -> str:
    return f"{what} {value:.2f} ≤ {bar:.2f}" if value <= bar else f"**{what} {value:.2f} > {bar:.2f}**"


def rows(results: dict[str, Any]) -> list[str]:
    """The Markdown tables."""
    return [*_requests(results), "", *_others(results)]


def _requests(results: dict[str, Any]) -> list[str]:
    head = (
        "| scenario | Fairlead | " + " | ".join(PEERS) + " | relay | ratio to the best peer | excess | bars |"
    )
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    for outcome in results.values():
        if isinstance(outcome, Outcome):
            medians = outcome.as_json()["median_us"]
            cells = [f"{medians[name]['median']:.1f}" for name in ("fairlead", *PEERS, "relay")]
            cells += [f"{outcome.ratio()} {outcome.best_peer()}", str(outcome.excess())]
            lines.append(
                f"| {outcome.scenario.name} | {' | '.join(cells)} | {'; '.join(verdicts(outcome))} |"
            )
    legend = "CPU in µs a request, medians; ratios are medians of ratios within a round, 95 % interval."
    return [*lines, "", legend]


def _others(results: dict[str, Any]) -> list[str]:
    lines = []
    idle = results.get("h1-idle")
    if idle:
        lines += [*_memory(idle), ""]
    two = results.get("h1-2workers")
    if two:
        own, held = two["ratio"]["median"], "held" if all(two["held"].values()) else "MISSED"
        lines += [
            f"Two workers against one, CPU a request: {own:.2f}; upstream reuse {two['reuse']:.1%} ({held}).",
            "",
        ]
    flow = results.get("tcp-flow")
    if flow:
        lines += [_flow(flow), ""]
    swap = results.get("reload")
    if swap:
        lines.append(
            f"Reload under load: {swap['reloads']} reloads, {swap['failed']} of {swap['requests']} requests"
            f" failed, p99 {swap['p99_ms']:.2f} ms beside {swap['undisturbed_p99_ms']:.2f} ms undisturbed."
        )
        lines.append("")
    pick = results.get("pick")
    if pick:
        lines += [*_picks(pick), ""]
    return lines


def _flow(flow: dict[str, Any]) -> str:
    each = ", ".join(f"{name} {seen['median']:.2f}" for name, seen in flow["median_s"].items())
    found = flow["ratio"]
    text = f"{found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f}) of {flow['best_peer']}"
    return (
        f"One TCP session, CPU seconds a GiB: {each}; {_marked(text, held=flow['held'])}. "
        f"Of ours {flow['spliced_share']:.1%} was spliced."
    )


def _memory(idle: dict[str, Any]) -> list[str]:
    lines = ["| memory | base | idle connection | after a burst | after a second |", "|---" * 5 + "|"]
    for name, seen in idle.items():
        base, first, second = (
            f"{seen[key] / 1e6:.1f} MB" for key in ("base", "after_first_burst", "after_second_burst")
        )
        held = seen.get("held", {"idle": True, "burst": True})
        each = _marked(f"{seen['bytes_per_connection']:.0f} B", held=held["idle"])
        lines.append(f"| {name} | {base} | {each} | {first} | {_marked(second, held=held['burst'])} |")
    return lines


def _picks(pick: dict[str, Any]) -> list[str]:
    sizes = sorted({row["members"] for row in pick["rows"]})
    lines = ["| pick, ns | " + " | ".join(map(str, sizes)) + " |", "|---" * (len(sizes) + 1) + "|"]
    kinds = dict.fromkeys((row["algorithm"], row["weights"]) for row in pick["rows"])
    for algorithm, weights in kinds:
        by_size = {
            row["members"]: _marked(
                f"{row['ns']:.0f}", held=pick["held"].get(f"{algorithm} {weights} {row['members']}", True)
            )
            for row in pick["rows"]
            if (row["algorithm"], row["weights"]) == (algorithm, weights)
        }
        cells = [by_size.get(size, "") for size in sizes]
        lines.append(f"| {algorithm}, {weights} weights | " + " | ".join(cells) + " |")
    built = [
        f"{table['table']} of {table['members']} built in "
        + _marked(
            f"{table['build_ms']:.1f} ms",
            held=pick["held"].get(f"{table['table']} build {table['members']}", True),
        )
        for table in pick["tables"]
    ]
    bars = "; ".join(f"{bar} ns at {members}" for members, bar in pick["bars_ns"].items())
    each, every = len(pick["held"]), sum(pick["held"].values())
    lines += ["", f"{'; '.join(built)}. Bars: {bars}; rendezvous has its own. {every} of {each} held."]
    return lines


def _marked(text: str, *, held: bool) -> str:
    """What missed its bar is shown in bold."""
    return text if held else f"**{text}**"


def _fill(page: Path, mark: str, text: str) -> None:
    """Puts `text` between the page's marks."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, _, rest = page.read_text().partition(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.partition(end)[2]}")


def write(results: dict[str, Any], *, whole: bool) -> str:
    """Writes the results file and, for a whole run, the newest table into both READMEs."""
    about = machine()
    plain = {name: o.as_json() if isinstance(o, Outcome) else o for name, o in results.items()}
    target = BENCH / "results" / f"{about['date']}.json"
    # A run of some scenarios leaves what the others gave on the same day.
    earlier = json.loads(target.read_text())["results"] if target.exists() else {}
    target.write_text(json.dumps({"machine": about, "results": earlier | plain}, indent=1) + "\n")
    text = "\n".join(rows(results))
    if whole:
        facts = ", ".join(f"{key} {value}" for key, value in about.items() if key not in {"date", "cpu"})
        stamp = f"{about['date']}, {about['cpu']}, {facts}"
        _fill(BENCH / "README.md", "results", f"{stamp}\n\n{text}")
        _fill(ROOT / "README.md", "figures", f"{stamp}\n\n" + "\n".join(_requests(results)))
    return text
