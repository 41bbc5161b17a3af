"""The report: one HTML file with everything in it."""

from loadtests.report.page import write_report

__all__ = ["write_report"]
