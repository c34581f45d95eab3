#!/usr/bin/env python3
"""A headless Chromium that does what each line of standard input says, and answers each with a line of JSON.

    browser.py CHROMIUM [--without-scripts]

    ["open", ADDRESS]           a page
    ["fill", SELECTOR, TEXT]    what somebody types into a field
    ["press", SELECTOR]         a button or a link, and the page that comes then
    ["say", EXPRESSION]         what comes of JavaScript, which pages without scripts are asked by as well;
                                tried until it is something else than null
    ["cookies"]                 all that are kept
    ["check", FILE]             what axe-core, in this file, finds wrong with the page
    ["prefer", SCHEME]          light or dark
    ["shoot", FILE, WIDTH]      a picture of it
"""

import base64
import json
import re
import subprocess
import sys
import tempfile
import time

from websockets.sync.client import connect

PATIENCE = 60
LOADED = "document.readyState === 'complete' && !window.left || null"


class Page:
    def __init__(self, socket):
        self._socket, self._number, self._session = socket, 0, None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.enable")

    def ask(self, method, **parameters):
        answer = self._answer(method, parameters)
        if "error" in answer:
            raise SystemExit(f"{method}: {answer['error']}")
        return answer["result"]

    def _answer(self, method, parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("id") == self._number:
                return answer

    def say(self, expression):
        """What comes of an expression, once something does."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            # Between two pages there is nothing to ask.
            answer = self._answer(
                "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
            )
            result = answer.get("result", {})
            value = result.get("result", {}).get("value")
            if value is not None and "exceptionDetails" not in result:
                return value
            time.sleep(0.02)
        raise SystemExit(f"nothing came of: {expression}")

    def open(self, url):
        self.ask("Page.navigate", url=url)
        return self.say(f"location.href !== 'about:blank' && {LOADED}")

    def fill(self, selector, text):
        self.say(f"document.querySelector({json.dumps(selector)}) && true")
        return self.say(
            f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
            f" field.value = {json.dumps(text)}; return true; }})()"
        )

    def press(self, selector):
        self.say(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)});"
            " if (!it) return null; window.left = true; it.click(); return true; })()"
        )
        return self.say(LOADED)

    def cookies(self):
        return self.ask("Network.getAllCookies")["cookies"]

    def check(self, path):
        with open(path, encoding="utf-8") as source:
            self.ask("Runtime.evaluate", expression=source.read())
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = self.say(
            f"axe.run(document, {{ runOnly: {json.dumps(tags)} }})"
            ".then((found) => found.violations.map((one) => one.id + ': ' + one.nodes.map((n) => n.html).join(' ')))"
        )
        # As wide as WCAG 1.4.10 asks for.
        self._width(320)
        wide = self.say("document.documentElement.scrollWidth")
        self.ask("Emulation.clearDeviceMetricsOverride")
        return found + ([f"reflow: {wide} pixels"] if wide > 320 else [])

    def _width(self, width):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme):
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        return True

    def shoot(self, path, width):
        self._width(width)
        picture = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        self.ask("Emulation.clearDeviceMetricsOverride")
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture))
        return True


def main():
    chromium, *flags = sys.argv[1:]
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
                if "--without-scripts" in flags:
                    page.ask("Emulation.setScriptExecutionDisabled", value=True)
                for line in sys.stdin:
                    what, *with_what = json.loads(line)
                    print(json.dumps(getattr(page, what)(*with_what)), flush=True)
        finally:
            browser.kill()
            browser.wait()


if __name__ == "__main__":
    main()
