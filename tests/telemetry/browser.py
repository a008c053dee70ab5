"""Debian's chromium, driven by Playwright: what it drew, what it said, and what it asked for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
LOCAL = {"127.0.0.1", "localhost", ""}


def needs_browser() -> pytest.MarkDecorator:
    """Skip, and say so, where there is no chromium or Playwright cannot be imported."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return pytest.mark.skip(reason="Playwright is not installed")
    why = "no chromium here: apt-get install chromium (.ci/run does it where it may)"
    return pytest.mark.skipif(CHROMIUM is None, reason=why)


class Looker:
    """A page, what it wrote to its console, and every address that it asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.faults: list[str] = []
        self.asked: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", lambda request: self.asked.append(request.url))

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning", "assert"} or "WARN" in message.text:
            self.faults.append(f"{message.type}: {message.text}")

    def open(self, address: str) -> None:
        """Go there, until the page has drawn once."""
        self.page.goto(address)
        self.page.wait_for_selector("body[data-shown]", timeout=60_000)

    def check(self) -> None:
        """No fault was written, and nothing off this machine was asked for."""
        assert not self.faults
        far = [url for url in self.asked if (urlsplit(url).hostname or "") not in LOCAL]
        assert not far


@contextmanager
def looking(folder: Path, *, width: int = 1280, scheme: str = "light") -> Iterator[Looker]:
    """A new browser with a user's folder of its own."""
    from playwright.sync_api import sync_playwright

    env = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder / f"browser-{width}-{scheme}",
            executable_path=CHROMIUM,
            headless=True,
            args=list(FLAGS),
            env=env,
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
        )
        try:
            yield Looker(context.new_page())
        finally:
            context.close()
