"""The page in a real browser: no error, nothing wider than a phone, and readable without JavaScript."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from darts_pl.report.page import Report, build_sections, render_page
from tests.report.made_up_run import HOSTILE, made_up_run

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),  # a program that pip cannot bring
]
#: Reads the inner page of a given width and writes what it finds into the outer one.
MEASURE = """<!DOCTYPE html><body><iframe src="{page}" width="{width}" height="3000"></iframe><script>
addEventListener("load", () => {{
  const inner = document.querySelector("iframe").contentDocument, slider = inner.getElementById("epoch");
  const wide = [...inner.querySelectorAll("body *")].filter((one) => !one.closest(".scroll, svg, details"))
    .filter((one) => one.getBoundingClientRect().right > {width} + 1).map((one) => one.className);
  const squares = () => [...inner.querySelectorAll(".square")].map((one) => one.getAttribute("fill-opacity")).join();
  const last = squares();
  slider.value = 0;
  slider.dispatchEvent(new Event("input"));
  const table = [...inner.querySelectorAll("table")].find((one) => one.textContent.includes("fraction right"));
  const button = table.querySelectorAll("th button")[2], column = () =>
    [...table.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value).toFixed(2)).join();
  button.click();
  const rising = column();
  button.click();
  document.body.dataset.result = [
    inner.documentElement.scrollWidth - inner.documentElement.clientWidth, wide.length,
    slider.parentElement.hidden, last !== squares(),
    inner.querySelectorAll(".preview:not([hidden])").length, rising, column(),
  ].join(" ");
}});
</script></body>"""

#: The same for an inner page that may not run scripts: display of the slider, buttons, and the sections with a height.
WITHOUT = """<!DOCTYPE html><body><iframe sandbox="allow-same-origin" src="{page}" width="800" height="3000"></iframe>
<script>
addEventListener("load", () => {{
  const inner = document.querySelector("iframe").contentDocument;
  const sections = [...inner.querySelectorAll("section")].filter((one) => one.getBoundingClientRect().height > 40);
  const slider = inner.defaultView.getComputedStyle(inner.querySelector(".slider")).display;
  document.body.dataset.result = [slider, inner.querySelectorAll("button").length,
    ...sections.map((one) => one.id)].join(" ");
}});
</script></body>"""


def browse(page: Path, *options: str) -> tuple[str, str]:
    """The document that the browser ends with, and what it logged."""
    common = "--headless --no-sandbox --disable-gpu --allow-file-access-from-files --enable-logging=stderr"
    command = [str(BROWSER), *common.split(), "--virtual-time-budget=4000", *options, "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = Report(made_up_run(), [("data.path", HOSTILE, "")], "python run.py", [("next", HOSTILE)])
    path = tmp_path_factory.mktemp("page") / "report.html"
    headline = [("test accuracy", "0.825", "95 % interval")]
    path.write_text(render_page(f"Run {HOSTILE}", "finished", headline, build_sections(report)))
    return path


def test_the_console_has_no_error_and_the_slider_works(page):
    document, log = browse(page)
    assert [line for line in log.splitlines() if "CONSOLE" in line] == []
    assert re.search(r'<div class="slider">', document)  # no longer hidden
    assert document.count("<script") == 2


def test_without_javascript_every_section_is_shown(page):
    outer = page.parent / "outer_without.html"
    outer.write_text(WITHOUT.format(page=page.name))
    document, _ = browse(outer)
    keys = re.findall(r'<section id="(\w+)"', page.read_text())
    assert len(keys) >= 9
    assert re.search(r'data-result="([^"]*)"', document).group(1).split() == ["none", "0", *keys]


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_is_wider_than_the_window_the_slider_moves_weights_and_preview_and_tables_are_sorted(page, width):
    outer = page.parent / f"outer_{width}.html"
    outer.write_text(MEASURE.format(page=page.name, width=width))
    document, _ = browse(outer, "--window-size=1300,3000")
    result = re.search(r'data-result="([^"]*)"', document).group(1).split()
    assert result[:5] == ["0", "0", "false", "true", "1"]
    assert result[5:] == ["0.77,0.79,0.92", "0.92,0.79,0.77"]  # 10 of 13, 11 of 14 and 12 of 13 in the made-up matrix
