"""The sections of a report, in the order of the page: each is a function from the run's files to blocks."""

# The order of these imports is that of the page.
from darts_pl.report.page.sections import overview  # isort: skip
from darts_pl.report.page.sections import comparison, protocol, strategy  # isort: skip
from darts_pl.report.page.sections import cells, scores, mixing, curves  # isort: skip
from darts_pl.report.page.sections import selection, testing, appendix  # isort: skip
from darts_pl.report.page.sections.registry import SECTIONS, Report, build_sections, section

assert all((overview, comparison, protocol, strategy, cells, scores, mixing, curves, selection, testing, appendix))

__all__ = ["SECTIONS", "Report", "build_sections", "section"]
