"""What `make release` refuses and checks, and the Pythons that are promised and tried."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest
from scripts.release import faults, heading, obstacles

from pyconntrack.version import VERSION
from support import ROOT


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A clean tree that can be released as 1.2.3."""
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-01-02)\n\n- News.\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "All")
    return tmp_path


def test_a_clean_tree_with_its_heading_can_be_released(tree: Path) -> None:
    assert [*obstacles(tree, "1.2.3")] == []


def test_a_changed_or_unknown_file_stops_a_release(tree: Path) -> None:
    (tree / "new").touch()
    (found,) = obstacles(tree, "1.2.3")
    assert "not clean" in found
    assert "?? new" in found


@pytest.mark.parametrize("version", ["1.2.4", "1.2", "2.3", "1.2.30"])
def test_a_version_without_a_heading_is_not_released(tree: Path, version: str) -> None:
    assert [*obstacles(tree, version)] == [f"CHANGELOG.md has no heading `## {version}'"]


def test_no_version_is_released_twice(tree: Path) -> None:
    git(tree, "tag", "v1.2.3")
    (found,) = obstacles(tree, "1.2.3")
    assert "the tag v1.2.3 exists" in found


def test_the_changelog_has_a_heading_for_this_version() -> None:
    assert heading((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), VERSION)


def test_what_a_file_to_be_published_lacks_is_named(tmp_path: Path) -> None:
    sdist, wheel = tmp_path / "p.tar.gz", tmp_path / "p.whl"
    with tarfile.open(sdist, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("p-1/README.md"), io.BytesIO())
    info, data = f"pyconntrack-{VERSION}.dist-info", f"pyconntrack-{VERSION}.data"
    with ZipFile(wheel, "w") as whole:
        whole.writestr(f"{info}/METADATA", "Name: pyconntrack\nVersion: 0.0\n")
        whole.writestr(f"{info}/licenses/LICENSE", "")
        whole.writestr(f"{data}/scripts/conntrack", "")
        whole.writestr(f"{data}/scripts/pyconntrack", "")
        whole.writestr("pyconntrack/stray.py", "")
    assert [*faults(sdist, wheel, ["README.md", "src/pyconntrack/py.typed"])] == [
        "p.tar.gz lacks src/pyconntrack/py.typed",
        "p.whl lacks pyconntrack/py.typed",
        f"p.whl lacks {data}/data/share/man/man8/conntrack.8",
        f"p.whl lacks {data}/data/share/man/man8/conntrack-doctor.8",
        f"p.whl lacks {data}/data/share/bash-completion/completions/conntrack",
        f"p.whl lacks {data}/data/share/zsh/site-functions/_conntrack",
        f"p.whl lacks {data}/data/share/fish/vendor_completions.d/conntrack.fish",
        f"p.whl lacks {data}/data/share/bash-completion/completions/pyconntrack",
        f"p.whl lacks {data}/data/share/fish/vendor_completions.d/pyconntrack.fish",
        "p.whl has pyconntrack/stray.py, which the tree has not",
        "p.whl calls itself pyconntrack 0.0",
    ]


def test_each_python_that_is_promised_is_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = [
        match[1]
        for line in project["classifiers"]
        if (match := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", line))
    ]
    workflow = (ROOT / ".github/workflows/check.yml").read_text(encoding="utf-8")
    tried = re.findall(r'"(3\.\d+)"', workflow)
    assert promised == tried
    assert project["requires-python"] == f">={promised[0]}"
