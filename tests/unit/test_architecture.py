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
#: the arrows that point up, each with its reason
UPWARD = {
    ("errors", "model"): "for checkers: an error names the entry that it is about",
    ("netlink.socket", "ctnetlink.trace"): "only where PYCONNTRACK_DEBUG=netlink asks for it",
}
#: the modules that may have more than 400 lines, each with its reason
LONG = {
    "columnar/flow_table.py": "a table's columns and its methods",
    "formats/templates.py": "a shape, its trial and its encoder are one argument",
}


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
    """Those that only type checkers follow, too."""
    upward = {
        (here, there)
        for here, there in imports()
        if here.split(".", 1)[0] != there.split(".", 1)[0] and level(there) > level(here)
    }
    assert upward == UPWARD.keys()


def test_every_name_on_the_map_exists() -> None:
    for name in set().union(*the_map()):
        assert (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file(), name


def test_imports_go_round_nowhere() -> None:
    above: dict[str, set[str]] = {}
    for here, there in set(imports()):
        if here != there and not type_only(here, there):
            above.setdefault(here, set()).add(there)
    assert len(above) > 40
    TopologicalSorter(above).prepare()  # CycleError names the modules


def having(*words: str) -> set[str]:
    """Return the modules whose text has any of ``words``."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    }


def test_netlink_sockets_are_opened_in_one_place() -> None:
    assert having("NETLINK_NETFILTER)") == {"netlink/socket.py"}


def test_two_interpreters_run_the_conversations() -> None:
    found = having(" is RECV", "conversation.send(")
    assert found == {"netlink/driver.py", "client/listener.py"}


def test_numpy_stands_in_one_package() -> None:
    found = having("import numpy", "from numpy")
    assert "columnar/columns.py" in found
    assert [name for name in found if not name.startswith("columnar/")] == []


def test_the_protocol_does_no_io() -> None:
    """Neither do values, predicates, formats and columns."""
    sockets = {"netlink.socket", "netlink.mmsg", "netlink.driver"}
    pure = ("ctnetlink", "model", "where", "formats", "columnar", "filters")
    found = [
        (here, there)
        for here, there in imports()
        if here.split(".", 1)[0] in pure and there in sockets and not type_only(here, there)
    ]
    assert found == []


def test_no_module_is_a_world() -> None:
    lines = {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for path in PACKAGE.rglob("*.py")
    }
    assert {name for name, number in lines.items() if number > 400} <= LONG.keys()
