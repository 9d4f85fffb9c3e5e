"""The list of deliberate differences: complete, in one place, and the man page's own section."""

from __future__ import annotations

import re

from scripts import differences

from support import ROOT


def test_the_man_page_has_the_list() -> None:
    page = differences.PAGE.read_text(encoding="utf-8")
    assert differences.written(page) == page, "run: make generate"
    assert page.count(".TP\n.B status-not\n") == 1


def test_every_entry_has_a_name_of_its_own_and_a_text() -> None:
    text = differences.LIST.read_text(encoding="utf-8")
    names = re.findall(r"^\*\*([^*]+)\*\*", text, flags=re.MULTILINE)
    assert len(names) == len(set(names)) == len(differences.entries()) > 30
    assert all(len(words) > 40 for words in differences.entries().values())


def test_every_allowed_case_names_its_entry() -> None:
    lines = (ROOT / "tests/allow.txt").read_text(encoding="utf-8").splitlines()
    allowed = [line.split() for line in lines if line and not line.startswith("#")]
    named = {words[1] for words in allowed} - {"reference:"}
    assert named <= set(differences.entries())
    assert len({words[0] for words in allowed}) == len(allowed)
