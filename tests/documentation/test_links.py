"""Every link of README and the documentation leads somewhere."""

import re

import pytest

from tests.documentation.pages import DOCS, EVERY_PAGE, NOTEBOOKS, ROOT, anchors, label, links


@pytest.mark.parametrize("page", EVERY_PAGE, ids=label)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for link in links(page):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), f"{label(page)}: {link}"
        assert target.is_relative_to(ROOT)
        if anchor:
            assert anchor in anchors(target), f"{label(page)}: {link}"


@pytest.mark.parametrize("page", EVERY_PAGE, ids=label)
def test_no_link_needs_an_unencrypted_connection(page):
    assert [link for link in links(page) if link.startswith("http:")] == []


def test_every_page_is_in_the_contents_of_the_site():
    contents = (DOCS / "index.md").read_text()
    listed = {
        line.strip()
        for block in re.findall(r"```\{toctree\}\n(.*?)```", contents, re.DOTALL)
        for line in block.splitlines()
    }
    pages = {str(path.relative_to(DOCS).with_suffix("")) for path in EVERY_PAGE if path.is_relative_to(DOCS)}
    assert pages - listed - {"index"} == set()
    assert {str(path.relative_to(DOCS).with_suffix("")) for path in NOTEBOOKS} <= listed
