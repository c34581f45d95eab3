"""Medians, ratios, and the Markdown that goes to stdout and into BENCHMARKS.md."""

import shlex
import subprocess
import sys
from datetime import datetime, timezone
from statistics import median

from process import Failure
from work import OPEN

BEGIN = "<!-- bench:begin (written by `make bench`) -->"
END = "<!-- bench:end -->"
# What Weir is held against; `hyper` is no product, only the price of the library.
RIVALS = ("nginx", "haproxy", "envoy")
# Measured in some rows only.
OTHERS = {OPEN: "Weir, open to all"}
PLACES = ("--weir", "--hyper", "--envoy", "--json", "--output")
# Share of a core that the rest of the machine may take without a word in the report.
QUIET = 0.1


def provenance(root):
    """When, from which commit, and by which command."""
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10)
        return done.stdout.strip()

    commit = git("rev-parse", "--short=12", "HEAD") or "unknown"
    # The report itself does not count as a change of what was measured.
    if git("status", "--porcelain", "--", ".", ":!BENCHMARKS.md"):
        commit += " with changes"
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit,
        "command": _command(sys.argv[1:]),
    }


def _command(arguments):
    """The command as others can repeat it: without what only says where files are on this machine."""
    kept, words = [], iter(arguments)
    for word in words:
        option, _, value = word.partition("=")
        if option not in PLACES:
            kept.append(word)
        elif not value:
            next(words, None)
    return "make bench" + (f" BENCH_ARGS={shlex.quote(shlex.join(kept))}" if kept else "")


def progress(row, name, round_number, sample):
    if sample.mistakes:
        return f"{row.name:10} round {round_number + 1} {name:8} no figure: {'; '.join(sample.mistakes)}"
    return (
        f"{row.name:10} round {round_number + 1} {name:8} {sample.cpu_per_request * 1e6:6.2f} µs "
        f"{sample.throughput:8.0f}/s p99 {sample.p99 * 1e3:6.2f} ms busy {sample.busy:4.0%} others {sample.others:4.0%}"
    )


def render(rows, titles, results, about):
    parts = [_about(about), _overview(rows, titles, results)]
    if "weir" in titles and any(row.goals for row in rows):
        parts.append(_goals(rows, titles, results))
    samples = [sample for by_peer in results.values() for mine in by_peer.values() for sample in mine]
    disturbed = [sample.others for sample in samples if sample.others > QUIET]
    if disturbed:
        parts.append(
            f"In {len(disturbed)} of {len(samples)} measurements other processes took more than {QUIET:.0%} of a core, "
            f"at most {max(disturbed):.0%}: latency and throughput are not to be relied on."
        )
    parts += [_row(row, titles, results[row.name]) for row in rows]
    return "\n\n".join(parts)


def write(path, text):
    """Puts the text between the markers; what stands around them is kept."""
    old = path.read_text() if path.exists() else f"# Benchmarks\n\n{BEGIN}\n{END}\n"
    head, found_begin, rest = old.partition(BEGIN)
    _, found_end, tail = rest.partition(END)
    if not (found_begin and found_end):
        raise Failure(f"{path.name}: the markers {BEGIN} and {END} are missing")
    path.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}")


def _about(about):
    versions = " · ".join(f"{title} {version}" for title, version in about["versions"].items())
    pinned = "the proxy on a core of its own" if about["pinned"] else "no process pinned"
    return (
        f"{about['date']}, commit {about['commit']}, `{about['command']}`\\\n"
        f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, Linux {about['kernel']}; {pinned}\\\n"
        f"{versions}\\\n"
        f"Medians of {about['rounds']} interleaved rounds of {about['seconds']} s; one worker each."
    )


def has_figure(samples):
    """Only a peer without a single error in any round has figures."""
    return bool(samples) and not any(sample.mistakes for sample in samples)


def middle(samples, name):
    return median(getattr(sample, name) for sample in samples)


def ratio(samples, others):
    """Median of the rounds' ratios of CPU per request: rounds are pairs, since the machine drifts."""
    return median(mine.cpu_per_request / other.cpu_per_request for mine, other in zip(samples, others))


def best_rival(by_peer):
    """Samples of the peer that needs least CPU per request, or None."""
    rivals = [by_peer[name] for name in RIVALS if has_figure(by_peer.get(name))]
    return min(rivals, key=lambda samples: middle(samples, "cpu_per_request"), default=None)


def _table(head, lines):
    align = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, align, *lines])


def _overview(rows, titles, results):
    """CPU per request of all rows and peers, and how Weir compares."""
    compared = "weir" in titles
    head = ["CPU per request, µs", *titles.values()]
    if compared:
        head += ["Weir ÷ nginx", "Weir ÷ best"]
    lines = []
    for row in rows:
        by_peer = results[row.name]
        cells = [row.title]
        cells += [f"{middle(by_peer[name], 'cpu_per_request') * 1e6:.1f}" if has_figure(by_peer[name])
                  else _missing(by_peer[name]) for name in titles]
        if compared:
            cells += [_ratio_cell(by_peer["weir"], by_peer.get("nginx")),
                      _ratio_cell(by_peer["weir"], best_rival(by_peer))]
        lines.append(cells)
    return _table(head, lines)


def _goals(rows, titles, results):
    """What Weir's figure is wanted to be at most, and is."""
    lines = []
    for row in rows:
        by_peer = results[row.name]
        for goal in row.goals:
            measured = _ratio_cell(by_peer["weir"], by_peer.get(goal.peer))
            title = (titles | OTHERS).get(goal.peer, goal.peer)
            lines.append([f"`{row.name}`: Weir ÷ {title}", f"≤ {goal.most:.2f}", measured])
    return _table(["CPU per request", "wanted", "measured"], lines)


def _row(row, titles, by_peer):
    head = ["", "CPU/request µs (least–most)", "÷ nginx", "÷ best", "requests/s", "p50 ms", "p99 ms",
            "memory MiB", "ready in ms"]
    if row.idle:
        head.append("KiB per idle connection")
    best = best_rival(by_peer)
    lines, notes = [], []
    others = {name: title for name, title in OTHERS.items() if name in by_peer}
    for name, title in (titles | others).items():
        samples = by_peer[name]
        if not has_figure(samples):
            lines.append([title, _missing(samples)] + [""] * (len(head) - 2))
            mistakes = sorted({mistake for sample in samples for mistake in sample.mistakes})
            notes += [f"- {title}: {' '.join(mistake.split())[:300]}" for mistake in mistakes]
            continue
        costs = [sample.cpu_per_request * 1e6 for sample in samples]
        cells = [
            title,
            f"{median(costs):.2f} ({min(costs):.2f}–{max(costs):.2f})",
            _ratio_cell(samples, by_peer.get("nginx")),
            _ratio_cell(samples, best),
            f"{middle(samples, 'throughput'):,.0f}",
            f"{middle(samples, 'p50') * 1e3:.2f}",
            f"{middle(samples, 'p99') * 1e3:.2f}",
            f"{middle(samples, 'resident') / 2**20:.1f}",
            f"{middle(samples, 'start') * 1e3:.0f}",
        ]
        if row.idle:
            cells.append(f"{middle(samples, 'idle_bytes') / 1024:.1f}")
        lines.append(cells)
    text = f"### {row.title}\n\n{_table(head, lines)}"
    return text + ("\n\n" + "\n".join(notes) if notes else "")


def _missing(samples):
    return "errors" if samples else "–"


def _ratio_cell(samples, others):
    if not has_figure(samples) or not has_figure(others):
        return "–"
    return f"{ratio(samples, others):.2f}"
