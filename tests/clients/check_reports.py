"""Reads a JUnit report and an HTML page as their readers do: check_reports.py JUNIT HTML."""

import re
import sys

import html5lib
from junitparser import JUnitXml

suites = JUnitXml.fromfile(sys.argv[1])
cases = [case for suite in suites for case in suite]
failures = sum(1 for case in cases if any(type(r).__name__ == "Failure" for r in case.result))
skipped = sum(1 for case in cases if any(type(r).__name__ == "Skipped" for r in case.result))
suite = next(iter(suites))
assert suite.tests == len(cases), (suite.tests, len(cases))
assert suite.failures == failures, (suite.failures, failures)
assert suite.skipped == skipped, (suite.skipped, skipped)

page = open(sys.argv[2], encoding="utf-8").read()
parser = html5lib.HTMLParser(strict=True)
parser.parse(page)
assert "<svg" in page and "<script" not in page, "charts, and no scripts"
assert not re.search(r"(src|href)=\"?(https?:)?//", page), "nothing from elsewhere"
print(f"{len(cases)} cases, {failures} failures, {skipped} skipped")
