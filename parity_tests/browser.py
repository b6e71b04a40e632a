"""Headless Chromium, driven through its DevTools protocol over a pair of pipes.

Nothing is installed for it and nothing listens on a port: messages are JSON, ended by a zero byte,
on the file descriptors 3 and 4 of the browser.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
PATIENCE = 60  # seconds

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--disable-domain-reliability",
    "--no-default-browser-check", "--no-pings", "--metrics-recording-only", "--mute-audio",
    "--disable-features=Translate,OptimizationHints,MediaRouter", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
]
# Puts the two ends of the pipes where the browser looks for them, and becomes the browser.
AS_3_AND_4 = ("import fcntl, os, sys\n"
              "ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]\n"
              "os.dup2(ends[0], 3), os.dup2(ends[1], 4)\n"
              "os.execv(sys.argv[3], sys.argv[3:])\n")


def missing() -> str:
    """Why there is no browser to test in; "" if there is one."""
    if not CHROMIUM:
        return "Chromium is not installed: no test of the page"
    asked = subprocess.run([CHROMIUM, "--version"], capture_output=True, timeout=PATIENCE)
    return f"{CHROMIUM} does not start: no test of the page" if asked.returncode else ""


class Browser:
    """One browser with one page."""

    def __init__(self, folder: Path) -> None:
        their_in, self.writer = os.pipe()
        self.reader, their_out = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-c", AS_3_AND_4, str(their_in), str(their_out), CHROMIUM, *FLAGS,
             f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(their_in, their_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(their_in)
        os.close(their_out)
        self.rest, self.number, self.session = b"", 0, None
        self.events: list[dict] = []
        (target,) = [each for each in self.send("Target.getTargets")["targetInfos"]
                     if each["type"] == "page"][:1]
        self.session = self.send("Target.attachToTarget", targetId=target["targetId"],
                                 flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        self.session = None
        with contextlib.suppress(Exception):
            self.send("Browser.close")
        for end in (self.writer, self.reader):
            os.close(end)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    # --- messages --------------------------------------------------------------------------------

    def send(self, method: str, **parameters: object) -> dict:
        """One command and its answer; events that come in between are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while True:
            answer = self.receive(until)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def receive(self, until: float) -> dict:
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.reader], [], [], max(0.0, until - time.monotonic()))
            more = os.read(self.reader, 1 << 20) if ready else b""
            if not more:
                raise TimeoutError("Chromium does not answer")
            self.rest += more
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    # --- what a person does ----------------------------------------------------------------------

    def open(self, path: Path, mark: str = "") -> None:
        """Load a page and wait until its scripts have run."""
        self.events.clear()
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=path.resolve().as_uri() + mark)
        self.wait_for("location.protocol === 'file:' && document.readyState === 'complete'")

    def wait_for(self, condition: str) -> None:
        until = time.monotonic() + PATIENCE
        while not self.run(condition):
            assert time.monotonic() < until, f"never came true: {condition}"
            time.sleep(0.05)

    def run(self, expression: str) -> object:
        """The value of a JavaScript expression on the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, **more: object) -> None:
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {" ": 32, "Enter": 13, "Home": 36, "End": 35, "ArrowLeft": 37, "ArrowUp": 38,
                "ArrowRight": 39, "ArrowDown": 40}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, text=text,
                      windowsVirtualKeyCode=code, **more)

    def type(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        x, y = self.run(f"(() => {{ const box = document.querySelector({json.dumps(selector)})"
                        ".getBoundingClientRect();"
                        " return [box.x + box.width / 2, box.y + box.height / 2] })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def window(self, width: int, height: int, phone: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=phone)

    def prefer(self, **features: str) -> None:
        """Media features, as in prefer(prefers_color_scheme="dark")."""
        self.send("Emulation.setEmulatedMedia", features=[
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def complaints(self) -> list[dict]:
        """Errors and warnings of the page since it was opened, and requests to the network."""
        self.send("Runtime.evaluate", expression="0")  # what came before it has arrived by now
        found = []
        for event in self.events:
            kind, content = event.get("method"), event.get("params", {})
            if (kind == "Runtime.exceptionThrown" or kind == "Log.entryAdded"
                    and content["entry"]["level"] in ("error", "warning")
                    or kind == "Runtime.consoleAPICalled"
                    and content["type"] in ("error", "warning", "assert")
                    or kind == "Network.requestWillBeSent"
                    and not content["request"]["url"].startswith(("file:", "data:", "about:"))):
                found.append(content)
        return found
