"""A browser for tests: headless Chromium through chromedriver's own HTTP protocol (W3C WebDriver).

Both come with the Debian packages chromium and chromium-driver; nothing is installed from PyPI.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = (
    None
    if CHROMIUM and DRIVER
    else "chromium and chromedriver are not installed, so no page was opened "
    "(Debian: apt-get install chromium chromium-driver)"
)

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_START_SECONDS = 30.0


class Browser:
    """A window of `width` x `height` CSS pixels, in the device's own pixels times `scale`."""

    def __init__(
        self, width: int, height: int, *, dark: bool = False, phone: bool = False, scale: float = 1
    ) -> None:
        assert DRIVER is not None
        self._driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._url = f"http://127.0.0.1:{self._port()}"
        options: dict[str, Any] = {
            "binary": CHROMIUM,
            "args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                f"--window-size={width},{height}",
                f"--force-device-scale-factor={scale}",
            ],
        }
        if dark:
            options["args"].append("--force-dark-mode")
            options["args"].append("--blink-settings=preferredColorScheme=0")
        if phone:
            options["mobileEmulation"] = {
                "deviceMetrics": {"width": width, "height": height, "pixelRatio": scale}
            }
        found = self._call(
            "POST",
            "/session",
            {
                "capabilities": {
                    "alwaysMatch": {
                        "browserName": "chrome",
                        "goog:chromeOptions": options,
                        "goog:loggingPrefs": {"browser": "ALL"},
                    }
                }
            },
        )
        self._session = f"/session/{found['sessionId']}"

    def _port(self) -> int:
        assert self._driver.stdout is not None
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            line = self._driver.stdout.readline()
            if "started successfully on port" in line:
                return int(line.rstrip().rstrip(".").rsplit(" ", 1)[1])
            if not line and self._driver.poll() is not None:
                break
        raise RuntimeError("chromedriver did not start")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(json.load(error)["value"]["message"]) from None

    def open(self, page: Path) -> None:
        """Load a page from a file and wait until it is there."""
        self._call("POST", f"{self._session}/url", {"url": page.resolve().as_uri()})

    def script(self, code: str, *arguments: Any) -> Any:
        """What `code`, the body of a function of `arguments`, returns."""
        return self._call(
            "POST", f"{self._session}/execute/sync", {"script": code, "args": list(arguments)}
        )

    def find(self, selector: str) -> dict[str, str]:
        """The first element of a CSS selector."""
        found: dict[str, str] = self._call(
            "POST", f"{self._session}/element", {"using": "css selector", "value": selector}
        )
        return found

    def text(self, selector: str) -> str:
        """The text that a reader sees in an element."""
        return str(self._call("GET", f"{self._session}/element/{self._id(selector)}/text"))

    def click(self, selector: str) -> None:
        """Click an element as a pointer would."""
        self._call("POST", f"{self._session}/element/{self._id(selector)}/click", {})

    def hover(self, selector: str) -> None:
        """Move the pointer over an element."""
        self.script("arguments[0].scrollIntoView({block: 'center'})", self.find(selector))
        move = {"type": "pointerMove", "duration": 0, "x": 0, "y": 0}
        self._call(
            "POST",
            f"{self._session}/actions",
            {
                "actions": [
                    {
                        "type": "pointer",
                        "id": "mouse",
                        "parameters": {"pointerType": "mouse"},
                        "actions": [{**move, "origin": self.find(selector)}],
                    }
                ]
            },
        )

    def press(self, selector: str, key: str) -> None:
        """Give an element the focus and press a key of WebDriver's key codes."""
        self.script("arguments[0].focus()", self.find(selector))
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self._call(
            "POST",
            f"{self._session}/actions",
            {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]},
        )

    def log(self) -> list[str]:
        """Lines of the console since the last call, with their level."""
        lines = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [f"{line['level']}: {line['message']}" for line in lines]

    def screenshot(self, file: Path) -> None:
        """Write what the window shows as PNG."""
        file.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))

    def _id(self, selector: str) -> str:
        return self.find(selector)[_ELEMENT]

    def close(self) -> None:
        """Close window and driver."""
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(10)
            if self._driver.stdout is not None:
                self._driver.stdout.close()

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def browser(
    width: int = 1280, height: int = 900, *, dark: bool = False, phone: bool = False,
    scale: float = 1,
) -> Iterator[Browser]:  # fmt: skip
    """A browser that is closed at the end."""
    with Browser(width, height, dark=dark, phone=phone, scale=scale) as found:
        yield found
