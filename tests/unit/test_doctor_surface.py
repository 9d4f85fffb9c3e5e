"""What ``pyconntrack.doctor`` exports, and what importing it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from pyconntrack import doctor
from pyconntrack.doctor import CHECKS, Finding, Snapshot, examine
from support import ROOT


def test_each_name_is_there_and_no_module_hides_one() -> None:
    program = (
        "import pyconntrack.doctor as d, importlib, pkgutil\n"
        "for each in pkgutil.walk_packages(d.__path__, d.__name__ + '.'):\n"
        "    importlib.import_module(each.name)\n"
        "print(*[name for name in d.__all__ if type(getattr(d, name)).__name__ == 'module'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
    assert dir(doctor) == sorted(doctor.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = doctor.nonsense  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_else() -> None:
    program = "import pyconntrack.doctor, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    ours = {name for name in done.stdout.split() if name.startswith("pyconntrack")}
    assert ours == {"pyconntrack", "pyconntrack.version", "pyconntrack.doctor"}
    assert "numpy" not in done.stdout.split()


@pytest.mark.parametrize("name", sorted(set(doctor.__all__) - {"CHECKS", "Severity"}))
def test_every_name_is_documented(name: str) -> None:
    thing = getattr(doctor, name)
    assert inspect.getdoc(thing)
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert f"::: {thing.__module__}.{name}\n" in page


def test_an_empty_snapshot_made_by_hand_can_be_examined() -> None:
    """Every field has a default, so a program may give only what it is about."""
    findings = examine(Snapshot())
    assert {finding.code for finding in findings} == {check.code for check in CHECKS}
    assert all(isinstance(finding, Finding) for finding in findings)
    assert not [finding for finding in findings if finding.severity == "crit"]
