"""Each check has a page, and what the page shows is what the check prints."""

from __future__ import annotations

import re

import pytest

from pyconntrack.doctor import CHECKS, Check, Snapshot, examine
from pyconntrack.doctor.report import text
from support import ROOT
from test_checks import SIDES, flows, look

PAGES = ROOT / "docs/doctor"
HEADINGS = ["What it means", "How it looks", "What to do"]
#: looks at which the checks that never raise an alarm have something to say
STATED = {
    "clash-resolve": look(moved={"clash_resolve": 31}),
    "timestamps": look(sysctls={"nf_conntrack_timestamp": 0}),
    "offload": look(flows=flows(10, status=0x4002)),
}


def page(check: Check) -> str:
    return (PAGES / f"{check.code}.md").read_text(encoding="utf-8")


def printed(snapshot: Snapshot, code: str) -> str:
    """What is printed of a check, without its numbers."""
    report = text(snapshot, examine(snapshot, [code]), everything=True)
    return _without_numbers(report.partition("\n")[2])


def _without_numbers(lines: str) -> str:
    return re.sub(r"\d[\d,.]*", "N", re.sub(r" +", " ", lines)).strip()


def test_there_is_a_page_of_each_check_and_no_other() -> None:
    pages = {path.stem for path in PAGES.glob("*.md")} - {"index"}
    assert pages == {check.code for check in CHECKS}
    overview = (PAGES / "index.md").read_text(encoding="utf-8")
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for check in CHECKS:
        assert f"| [{check.code}]({check.code}.md) | {check.title} |" in overview
        assert f"doctor/{check.code}.md" in nav


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_a_page_says_what_it_means_how_it_looks_and_what_to_do(check: Check) -> None:
    assert re.findall(r"^# (.*)", page(check), re.M) == [check.code]
    assert re.findall(r"^## (.*)", page(check), re.M) == HEADINGS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_a_page_shows_what_the_check_prints(check: Check) -> None:
    [shown] = re.findall(r"^```text\n(.*?)^```$", page(check), re.M | re.S)
    looks = [worse for code, _, worse, _ in SIDES if code == check.code]
    looks = looks or [STATED[check.code]]
    assert _without_numbers(shown) in {printed(each, check.code) for each in looks}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_a_page_names_the_thresholds_of_warnings(check: Check) -> None:
    meaning = page(check).partition("## How it looks")[0]
    for name, number in check.thresholds.items():
        if name.startswith(("warn", "crit")) and number != 1:
            assert re.search(rf"(?<!\d){number:g}(?!\d)", meaning.replace(",", "")), (name, number)
