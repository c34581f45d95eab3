#!/usr/bin/env python3
"""Runs the examples in README.md and docs/**/*.md, and checks that relative links lead somewhere.

With --records the configurations of the pages that --page names keep their records on a PostgreSQL server
instead of in files: each in a database that has the names of page and configuration, `page_file`. Those that say
themselves where their records are stay as they are: of two nodes on one server, which the environment names as
WEIR_DATABASE.

Two kinds of fenced blocks are examples; every other block is left alone:

    ```yaml weir.yaml       is written to the file of that name
    ```console              has its `$ ` lines run by bash; lines below each are its expected output,
                            where `…` stands for any text and a line of `…` alone for any lines

The blocks of one page share one scratch directory and run in order. A command may go on over lines that
end in a backslash; one that ends in ` &` keeps running until the page's end. A command must succeed,
unless its output is shown: then that is what counts, and an example may show a failure. Each
page has PAGE_SECONDS, and where the system allows it a loopback address of its own, so that the ports
in the examples are free.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE_SECONDS = 120
FENCE = re.compile(r"^```(?P<language>\S*)[ \t]*(?P<name>\S*)[^\n]*\n(?P<body>.*?)^```[ \t]*$", re.M | re.S)
LINK = re.compile(r"\[[^\]\n]*\]\((?!https?:|mailto:|#)(?P<target>[^)#\s]+)(?:#[^)]*)?\)")
MARK = "weir-docs-end-of-command"


def commands(body):
    """Splits a console block into (command, expected output)."""
    found = []
    for line in body.splitlines():
        if found and found[-1][0].endswith("\\"):
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"output before the first command: {line!r}")
    return [(command, "\n".join(expected).strip()) for command, expected in found]


def matches(expected, actual):
    """Whether `actual` is `expected`, with `…` as wildcard. No expectation accepts anything."""
    if not expected:
        return True
    lines = actual.strip().splitlines()
    # How many lines the expectation can have taken so far: wildcards are followed side by side, as going back
    # for each of them takes for ever.
    taken = {0}
    for line in expected.splitlines():
        if line.strip() == "…":
            taken = set(range(min(taken), len(lines) + 1))
        else:
            pattern = re.compile(re.escape(line).replace("…", ".*?"))
            taken = {at + 1 for at in taken if at < len(lines) and pattern.fullmatch(lines[at])}
        if not taken:
            return False
    return len(lines) in taken


def isolation():
    """The command that gives what follows it a network of its own; nothing where that is not allowed."""
    command = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        return command if subprocess.run([*command, "true"], capture_output=True).returncode == 0 else []
    except FileNotFoundError:
        return []


def on_server(page, name, body, records):
    """A node's configuration with its records on a server."""
    if records is None or "listeners:" not in body or "records:" in body:
        return body
    database = f"{page.stem}_{name.stem}".replace("-", "_")
    return f"{body}records: {{ url: \"{records.replace('DATABASE', database)}\" }}\n"


def run_page(page, text, directory, environment, records=None):
    """Runs the page's examples and returns a list of mistakes."""
    script, expectations = ["exec 2>&1"], []
    for block in FENCE.finditer(text):
        if block["language"] == "console":
            for command, expected in commands(block["body"]):
                expectations.append((command, expected))
                script.append(f"{command}\necho; echo {MARK} $?")
        elif block["name"] and "=" not in block["name"]:
            name = Path(block["name"])
            if name.is_absolute() or ".." in name.parts:
                return [f"example file outside of the scratch directory: {name}"]
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(on_server(page, name, block["body"], records))
    if not expectations:
        return []

    process = subprocess.Popen(
        [*isolation(), "bash", "-c", "\n".join(script)], cwd=directory, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
    )
    watchdog_fired = False

    def on_alarm(_signal, _frame):
        nonlocal watchdog_fired
        watchdog_fired = True
        os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(PAGE_SECONDS)
    output, outcomes = [], []
    try:
        # Line by line, since a background command holds the pipe open after bash has ended.
        for line in process.stdout:
            if line.startswith(MARK):
                outcomes.append((int(line.split()[1]), "".join(output)))
                output = []
                if len(outcomes) == len(expectations):
                    break
            else:
                output.append(line)
    finally:
        signal.alarm(0)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        process.stdout.close()

    mistakes = []
    for (command, expected), (status, actual) in zip(expectations, outcomes):
        if status != 0 and not expected:
            mistakes.append(f"$ {command}\n  status {status}:\n{actual}")
        elif not matches(expected, actual):
            mistakes.append(f"$ {command}\n  expected:\n{expected}\n  got:\n{actual}")
    if len(outcomes) < len(expectations):
        reason = f"not done after {PAGE_SECONDS} s" if watchdog_fired else "never finished"
        mistakes.append(f"$ {expectations[len(outcomes)][0]}\n  {reason}:\n{''.join(output)}")
    return mistakes


def broken_links(page, text):
    prose = FENCE.sub("", text)
    targets = {match["target"] for match in LINK.finditer(prose)}
    return [f"broken link: {target}" for target in sorted(targets) if not (page.parent / target).exists()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weir", type=Path, required=True, help="the binary that the examples run")
    parser.add_argument("--page", type=Path, action="append", help="run this page only")
    parser.add_argument("--records", help="address of a PostgreSQL database; `DATABASE` in it is replaced")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parent.parent
    weir = arguments.weir.resolve()
    if not weir.is_file():
        sys.exit(f"docs: no such binary: {weir}")
    environment = os.environ | {"PATH": f"{weir.parent}:{os.environ['PATH']}", "NO_COLOR": "1"}

    failed = False
    pages = [root / page for page in arguments.page or ()] or [*root.glob("*.md"), *root.glob("docs/**/*.md")]
    for page in sorted(pages):
        text = page.read_text()
        with tempfile.TemporaryDirectory(prefix="weir-docs-") as directory:
            # What examples sign in to is forgotten with their page.
            own = environment | {"XDG_CONFIG_HOME": f"{directory}/.config"}
            mistakes = broken_links(page, text) + run_page(page, text, Path(directory), own, arguments.records)
        for mistake in mistakes:
            failed = True
            print(f"{page.relative_to(root)}: {mistake}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
