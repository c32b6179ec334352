"""A page in a real browser: what it holds after its script has run, and how it looks."""

import shutil
import subprocess
from pathlib import Path

import pytest


def browse(page: Path, *how: str) -> str:
    """Open a page in a headless Chromium, which says what ``how`` asks of it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with_flags = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *how, page.as_uri()]
    return subprocess.run(with_flags, capture_output=True, text=True, timeout=120, check=True).stdout


def dom_after(page: Path, script: str, folder: Path, *how: str) -> str:
    """What a page holds after a script of the test's own has run at its end; its errors are in the title."""
    catch = 'window.onerror = (what) => { document.title = "ERROR " + what; };'
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head><script>{catch}</script>", 1)
    acted = folder / "acted.html"
    acted.write_text(text.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    dom = browse(acted, "--dump-dom", *how)
    assert "<title>ERROR" not in dom, dom.partition("<title>")[2][:200]
    return dom
