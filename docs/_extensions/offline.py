"""Refuses a site that a browser could not show without a network."""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

#: What a browser loads on its own: scripts, style sheets, fonts and pictures, but not the links that a reader follows.
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//|<link\b[^>]*\bhref=["'](?:https?:)?//"""
)
IN_STYLES = re.compile(r"""(?:@import|url\()\s*["']?(?:https?:)?//""")


def check(app: Sphinx, error: Exception | None) -> None:
    """Raise if a page or a style sheet loads something from elsewhere."""
    if error is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir)
    wrong = [path for path in folder.rglob("*.html") if LOADED.search(path.read_text(encoding="utf-8"))]
    wrong += [path for path in folder.rglob("*.css") if IN_STYLES.search(path.read_text(encoding="utf-8"))]
    if wrong:
        names = ", ".join(str(path.relative_to(folder)) for path in wrong[:5])
        raise ExtensionError(f"{len(wrong)} files load something from the network: {names}")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
