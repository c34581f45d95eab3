#!/usr/bin/env python3
"""Opens a page in headless Chromium, does steps on it, and prints what each says.

    browser.py CHROMIUM URL STEP…      a step is an expression of JavaScript that is awaited

Each step is tried until it gives something else than null; that is printed as JSON, a line each.
"""

import json
import re
import subprocess
import sys
import tempfile
import time

from websockets.sync.client import connect

PATIENCE = 60


class Page:
    def __init__(self, socket):
        self._socket, self._number = socket, 0

    def ask(self, method, session=None, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]


def main():
    chromium, url, *steps = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--no-proxy-server", "--remote-debugging-port=0",
             f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )
        try:
            for line in browser.stderr:
                if listening := re.search(r"ws://\S+", line):
                    break
            with connect(listening[0], max_size=None) as socket:
                page = Page(socket)
                target = page.ask("Target.createTarget", url=url)["targetId"]
                session = page.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
                for step in steps:
                    print(json.dumps(until(page, session, step)), flush=True)
        finally:
            browser.kill()
            browser.wait()


def until(page, session, step):
    """What a step gives once it gives something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        result = page.ask("Runtime.evaluate", session, expression=step, awaitPromise=True, returnByValue=True)
        value = result["result"].get("value")
        if "exceptionDetails" not in result and value is not None:
            return value
        time.sleep(0.05)
    raise SystemExit(f"nothing came of: {step}")


if __name__ == "__main__":
    main()
