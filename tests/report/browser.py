"""A Chromium without a window, spoken to over two pipes; no package is needed."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
# Chromium reads commands from descriptor 3 and answers on 4.
_START = (
    "import fcntl, os, sys\n"
    "held = [fcntl.fcntl(int(x), fcntl.F_DUPFD, 20) for x in sys.argv[1:3]]\n"
    "os.dup2(held[0], 3), os.dup2(held[1], 4)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


class Browser:
    """One page at a time; what it complains of is in `complaints`."""

    def __init__(self, folder: Path):
        read, self._out = os.pipe()
        self._in, write = os.pipe()
        options = (
            "--headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run "
            f"--remote-debugging-pipe --disable-dev-shm-usage --user-data-dir={folder}"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(read), str(write), CHROMIUM, *options.split()],
            pass_fds=(read, write),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        self._id, self._rest, self._session, self.complaints = 0, b"", None, []
        self.folder = folder

    def close(self):
        with contextlib.suppress(OSError):
            self.send("Browser.close", session=False)
        self._process.wait(10)
        os.close(self._in)
        os.close(self._out)

    def send(self, method, session=True, **parameters):
        self._id += 1
        message = {"id": self._id, "method": method, "params": parameters}
        if session and self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._id:
                assert "error" not in answer, answer
                return answer.get("result", {})

    def _receive(self):
        while b"\0" not in self._rest:
            more = os.read(self._in, 1 << 16)
            if not more:
                raise OSError("Chromium has gone")
            self._rest += more
        text, _, self._rest = self._rest.partition(b"\0")
        answer = json.loads(text)
        if answer.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.complaints.append(answer["params"])
        return answer

    def open(self, file: Path, *, width=1240, height=900, dark=False, script=True):
        self.complaints = []
        target = self.send("Target.createTarget", session=False, url="about:blank")["targetId"]
        self._session = self.send(
            "Target.attachToTarget", session=False, targetId=target, flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        self.send("Page.navigate", url=file.resolve().as_uri())
        while self.run("document.readyState + location.protocol") != "completefile:":
            time.sleep(0.02)

    def run(self, code):
        """The value of an expression on the page."""
        result = self.send(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def shoot(self, file: Path, top=0, height=None):
        """A picture of the page, whole or from `top`."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": top,
            "width": size["width"],
            "height": min(height or size["height"], size["height"] - top),
            "scale": 1,
        }
        seen = self.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(seen["data"]))

    def saved(self, name, seconds=10.0):
        """The text of a file that the page has saved."""
        file, until = self.folder / "saved" / name, time.monotonic() + seconds
        while not file.exists() and time.monotonic() < until:
            time.sleep(0.05)
        return file.read_text()

    def save_files(self):
        self.send(
            "Browser.setDownloadBehavior",
            session=False,
            behavior="allow",
            downloadPath=str(self.folder / "saved"),
        )
