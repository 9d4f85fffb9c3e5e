"""Imports point down: no module imports one that stands above it (ARCHITECTURE.md, the map)."""

from __future__ import annotations

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pyconntrack
from support import ROOT

PACKAGE = Path(pyconntrack.__file__).parent


def the_map() -> list[set[str]]:
    """The lines of the map in ARCHITECTURE.md, from the bottom up: the modules of each."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text.partition("## The map")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("    ")]
    names = [re.split(r"\s{2,}", line.strip())[0] for line in lines]
    return [{name.rstrip("/") for name in each.split(", ")} for each in reversed(names)]


#: a module may import from its own level and from those below it
LEVELS = [*the_map(), {"__main__"}]


def level(name: str) -> int:
    """The line of the map that a module stands in, counted from the bottom."""
    top = name.split(".", maxsplit=1)[0]
    found = [number for number, names in enumerate(LEVELS) if top in names]
    assert len(found) == 1, f"{top} must stand in the map of ARCHITECTURE.md, once"
    return found[0]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports() -> list[tuple[str, str]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        here = ".".join(parts)
        if here == "__init__":
            continue  # lazy exports of everything
        package = parts[:-1]
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = (*package[: len(package) - node.level + 1],)
                target = ".".join((*base, *(node.module or "").split("."))).strip(".")
                whole = target.replace(".", "/")
                for alias in node.names:
                    inner = f"{whole}/{alias.name}".strip("/")
                    is_module = (PACKAGE / f"{inner}.py").exists() or (PACKAGE / inner).is_dir()
                    found.append((here, inner.replace("/", ".") if is_module else target))
    return found


def type_only(here: str, there: str) -> bool:
    """Whether `here` names `there` only under TYPE_CHECKING, for annotations."""
    tree = parsed(PACKAGE / f"{here.replace('.', '/')}.py")
    guarded = [
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    ]  # fmt: skip
    last = there.rsplit(".", maxsplit=1)[-1]
    matching = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
        and ((node.module or "").split(".")[-1] == last or any(a.name == last for a in node.names))
    ]  # fmt: skip
    return bool(matching) and all(node in guarded for node in matching)


def test_imports_point_down() -> None:
    wrong = []
    for here, there in imports():
        mine, other = level(here), level(there)
        if other > mine and not type_only(here, there):
            wrong.append((here, there))
    assert wrong == []


def test_imports_go_round_nowhere() -> None:
    above: dict[str, set[str]] = {}
    for here, there in set(imports()):
        if here != there and not type_only(here, there):
            above.setdefault(here, set()).add(there)
    assert len(above) > 40
    TopologicalSorter(above).prepare()  # CycleError names the modules


def test_only_the_transport_opens_netlink_sockets() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "NETLINK_NETFILTER)" in path.read_text(encoding="utf-8")
    }
    assert found == {"transport.py"}


def test_two_interpreters_run_the_conversations() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if " is RECV" in (text := path.read_text(encoding="utf-8")) or "conversation.send(" in text
    }
    assert found == {"driver.py", "listener.py"}


def test_layouts_know_no_numpy() -> None:
    for name in ("layout.py", "schema.py", "model/*.py", "session.py", "filter.py"):
        for path in PACKAGE.glob(name):
            assert "import numpy" not in path.read_text(encoding="utf-8"), path
