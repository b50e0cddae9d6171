"""Pages of HTML in a real browser: nothing overlaps the window, signs stand under each other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from tests.backends.table import LIBRARY
from tests.trace.examples import EXAMPLES
from tests.trace.formats import SIZES, example, library

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
NARROWEST = 500
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="no Chromium: tests/pages/install.sh"),
]
# what a page measures of itself; it replaces its own text by it
MEASURE = """
<script>
addEventListener("load", () => {
  const all = (where, from = document) => [...from.querySelectorAll(where)];
  const box = (each) => each.getBoundingClientRect();
  const style = getComputedStyle(document.body);
  const looks = ":scope > .look, :scope > .result";
  const found = {
    page: document.documentElement.scrollWidth,
    window: innerWidth,
    right: Math.max(...all("main *:not(math *)").filter((e) => !e.closest(".chain, .scroll"))
      .map((e) => box(e).right), ...all(".chain, .scroll").map((e) => box(e).right)),
    lines: all(".lines").map((each) =>
      all(looks, each).map((e) => box(e.querySelector("mo")).left)),
    empty: all("math").map(box).filter((e) => e.width === 0 || e.height === 0).length,
    text: style.color,
    ground: style.backgroundColor,
    results: [...new Set(all(".result").map((e) => getComputedStyle(e).color))],
    loaded: performance.getEntriesByType("resource").length,
  };
  document.body.textContent = "FOUND" + JSON.stringify(found) + "END";
});
</script>
"""


def measured(folder: Path, html: str, width: int, *, dark: bool = False) -> dict:
    """What a page measures; a browser's window is not narrower than 500, but its body may be."""
    page = folder / "page.html"
    html = html.replace("<body>", f'<body style="width: {width}px">') if width < NARROWEST else html
    page.write_text(html.replace("</body>", MEASURE + "</body>"), "utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [
        f"--window-size={max(width, NARROWEST)},900",
        f"--user-data-dir={folder / 'profile'}",
    ]
    command += ["--blink-settings=preferredColorScheme=0"] if dark else []
    run = subprocess.run([*command, page.as_uri()], capture_output=True, check=True, timeout=120)
    found = re.search("FOUND(.*)END", run.stdout.decode(), re.S)
    assert found, run.stderr[-2000:]
    return json.loads(unescape(found[1]))


def brightness(color: str) -> float:
    """Of `rgb(1, 2, 3)` or `color(srgb 0.1 0.2 0.3)`, from 0 to 1."""
    numbers = [float(each) for each in re.findall(r"[\d.]+", color)[:3]]
    red, green, blue = (each / (1 if color.startswith("color") else 255) for each in numbers)
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    low, high = sorted((brightness(first), brightness(second)))
    return (high + 0.05) / (low + 0.05)


PAGES = {
    "lstm": lambda: EXAMPLES["3_lstm"].trace(),
    "next_word": lambda: EXAMPLES["5_next_word"].trace(),
    "hidden_9": lambda: library("gru", 9),
    "backward": lambda: example("scalar"),
    "matrices": lambda: library("mlstm", 3),
    "loss": lambda: example("halves"),
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("blank", [False, True])
def test_a_page_fits_its_window_and_is_aligned(name, width, blank, tmp_path):
    found = measured(tmp_path, PAGES[name]().to_html(blank=blank), width)
    assert found["window"] == max(width, 500)
    assert found["page"] <= found["window"] and found["right"] <= width
    assert found["lines"] and found["loaded"] == 0 and found["empty"] == 0
    for signs in found["lines"]:
        assert max(signs) - min(signs) < 1.5


@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark_can_both_be_read(dark, tmp_path):
    found = measured(tmp_path, example("read_out").to_html(), 1000, dark=dark)
    assert (brightness(found["ground"]) < 0.1) == dark
    assert contrast(found["text"], found["ground"]) > 7
    for color in found["results"]:
        assert contrast(color, found["ground"]) > 4.5


def test_every_cell_of_the_library_fits_its_window(tmp_path):
    for name, hidden in zip(LIBRARY, SIZES * len(LIBRARY), strict=False):
        if hidden in (3, 9):
            found = measured(tmp_path, library(name, hidden).to_html(), 800)
            assert found["page"] <= found["window"] and found["empty"] == 0, name
            for signs in found["lines"]:
                assert max(signs) - min(signs) < 1.5, name
