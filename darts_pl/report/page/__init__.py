"""A run as one HTML page: sections of plain blocks, drawn as inline SVG and HTML."""

from darts_pl.report.page.blocks import Section
from darts_pl.report.page.page import render_page
from darts_pl.report.page.run_files import RunFiles, read_run_files
from darts_pl.report.page.sections import SECTIONS, Report, build_sections

__all__ = ["SECTIONS", "Report", "RunFiles", "Section", "build_sections", "read_run_files", "render_page"]
