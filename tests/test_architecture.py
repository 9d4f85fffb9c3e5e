"""Imports point down: no module imports one that stands above it (ARCHITECTURE.md, the map)."""

from __future__ import annotations

import ast
from pathlib import Path

import pyconntrack

ROOT = Path(pyconntrack.__file__).parent

#: from the bottom up; a module may import from its own level only what stands in it as well
LEVELS = [
    {"version", "wire.consts", "vocab", "fields", "errors"},
    {"wire.tlv"},
    {"wire.frame"},
    {"schema"},
    {"encode", "layout"},
    {"request", "filter"},
    {"where"},
    {"session"},
    {"transport", "mmsg"},
    {"ring"},
    {"model"},
    {"keywords", "columns"},
    {"driver", "netns"},
    {"verbs", "events", "table"},
    {"sync", "aio", "testing"},
    {"output"},
    {"cli"},
    {"__main__"},
]
#: pairs that are within one level, or otherwise allowed, and why
ALLOWED = {
    ("aio", "sync"): "reading a non-blocking socket stands once",
    ("table", "output.bulk"): "address columns as text use the writers' bulk conversion",
}


def level(name: str) -> int | None:
    for number, names in enumerate(LEVELS):
        if name in names or name.split(".", maxsplit=1)[0] in names:
            return number
    return None


def imports() -> list[tuple[str, str]]:
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        here = ".".join(parts)
        if here == "__init__":
            continue  # lazy exports of everything
        package = parts[:-1]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = (*package[: len(package) - node.level + 1],)
                target = ".".join((*base, *(node.module or "").split("."))).strip(".")
                whole = target.replace(".", "/")
                for alias in node.names:
                    inner = f"{whole}/{alias.name}".strip("/")
                    is_module = (ROOT / f"{inner}.py").exists() or (ROOT / inner).is_dir()
                    found.append((here, inner.replace("/", ".") if is_module else target))
    return found


def type_only(here: str, there: str) -> bool:
    """Whether `here` names `there` only under TYPE_CHECKING, for annotations."""
    path = ROOT / f"{here.replace('.', '/')}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
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
        if mine is None or other is None or here.split(".")[0] == there.split(".")[0]:
            continue
        if other > mine and (here, there) not in ALLOWED and not type_only(here, there):
            wrong.append((here, there))
    assert wrong == []


def test_only_the_transport_opens_netlink_sockets() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if "NETLINK_NETFILTER)" in path.read_text(encoding="utf-8")
    }
    assert found == {"transport.py"}


def test_layouts_know_no_numpy() -> None:
    for name in ("layout.py", "schema.py", "model/*.py", "session.py", "filter.py"):
        for path in ROOT.glob(name):
            assert "import numpy" not in path.read_text(encoding="utf-8"), path
