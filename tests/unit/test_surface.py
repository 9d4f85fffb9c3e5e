"""The public surface: names, what importing costs, docstrings."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name, walk_packages
from types import ModuleType

import pytest

import pyconntrack
from support import ROOT
from support.declared import STUB

SURFACE = [
    "AddressColumn", "AddressLike", "AsyncConntrack", "AsyncDump", "AsyncEvents", "Changes",
    "Conntrack", "ConntrackError", "CpuStats", "DccpRole", "DccpState", "DecodeError", "Dump",
    "DumpInterruptedError", "Event", "EventKind", "Events", "EventsLost", "Existing",
    "ExistsError", "Expect", "ExpectFields", "ExpectFlag", "FamilyName", "Filter",
    "FilterFields", "FlagColumn", "Flow", "FlowFields", "FlowTable", "KernelError",
    "LoadError", "NotFoundError", "NotSupportedError", "OnInterrupt", "PermissionDeniedError",
    "ProtoName", "RequestError", "SctpState", "Stats", "StatusName", "TableFullError",
    "TableName", "TcpState", "Tuple", "TupleFields", "Unknown", "ValueColumn", "WhereError",
    "Word", "WordColumn", "__version__",
]  # fmt: skip
#: types without a docstring -> the page that lists them
KINDS = {
    name: page
    for home, page in (("ctnetlink.literals", "fields.md"), ("model.arguments", "library.md"))
    for name in SURFACE
    if pyconntrack._HOMES.get(name) == home
}
#: what signatures name besides what is exported: aliases of numpy's types and of names of columns,
#: type variables, and what only the package itself makes or passes
UNNAMED = {
    "Address", "Bools", "Buffer", "Bytes", "Column", "Flag", "Flags", "Ints", "Objects", "V",
    "Builder", "Group", "Listing", "Node", "Watch",
}  # fmt: skip
NAMES = [
    name
    for name in SURFACE
    if name != "FlowTable" or find_spec("pyconntrack.columnar.flow_table") is not None
]


def loaded(code: str) -> set[str]:
    path = str(Path(pyconntrack.__file__).parent.parent)
    program = f"import sys; sys.path.insert(0, {path!r}); {code}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_surface() -> None:
    assert pyconntrack.__all__ == SURFACE
    assert dir(pyconntrack) == sorted(SURFACE)
    for name in NAMES:
        assert getattr(pyconntrack, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = pyconntrack.nonsense  # type: ignore[attr-defined]


def test_version() -> None:
    try:
        assert pyconntrack.__version__ == version("pyconntrack")
    except PackageNotFoundError:
        assert pyconntrack.__version__


def test_importing_the_package_imports_nothing_else() -> None:
    bare = loaded("pass")
    extra = loaded("import pyconntrack") - bare
    assert extra == {"__future__", "pyconntrack", "pyconntrack.version"}


def test_the_blocking_library_is_light() -> None:
    extra = loaded("from pyconntrack import Conntrack, Flow, Filter")
    heavy = {
        "asyncio", "numpy", "typing", "dataclasses", "enum", "ipaddress", "socket", "re", "json",
        "ctypes", "threading", "contextlib", "collections",
    }  # fmt: skip
    assert extra & heavy == set()


def test_importing_everything_but_the_table_takes_no_numpy() -> None:
    assert "numpy" not in loaded(
        "import pyconntrack.client.asynchronous, pyconntrack.testing, pyconntrack.model"
    )


def test_typed() -> None:
    assert Path(pyconntrack.__file__).with_name("py.typed").exists()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(pyconntrack, name)
    if name in KINDS:
        assert f"**`{name}`**" in (ROOT / "docs" / KINDS[name]).read_text(encoding="utf-8")
        return
    assert inspect.getdoc(thing)
    for inner, value in vars(thing).items():
        if not inner.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert inspect.getdoc(value), f"{name}.{inner}"


def annotations_of(cls: type) -> Iterator[tuple[str, str]]:
    """(place, name of a type) in the signatures and attributes of a class and of its bases."""
    stub = STUB.read_text(encoding="utf-8")
    for base in (base for base in cls.__mro__ if base.__module__.startswith("pyconntrack")):
        source = Path(sys.modules[base.__module__].__file__ or "").read_text(encoding="utf-8")
        for text in (source, stub):
            tree = ast.parse(text)
            foreign = {
                alias.asname or alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom)
                                                    and not node.level)
                for alias in node.names
            }  # fmt: skip
            wanted = {base.__name__} if text is source else {f"{base.__name__}Attributes"}
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef) and node.name in wanted:
                    found = [one for one in named_in(node) if one[1] not in foreign]
                    yield from ((f"{base.__name__}.{member}", name) for member, name in found)


def named_in(tree: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for member in tree.body:
        if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
            name, given = member.name, member.args
            types = [one.annotation for one in (*given.posonlyargs, *given.args, *given.kwonlyargs,
                                                given.vararg, given.kwarg) if one]  # fmt: skip
            types.append(member.returns)
        elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            name, types = member.target.id, [member.annotation]
        else:
            continue
        if not name.startswith("_") or name.startswith("__"):
            for kind in types:
                yield from ((name, inner.id) for inner in ast.walk(kind or ast.Pass())
                            if isinstance(inner, ast.Name))  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_a_signature_names_can_be_imported(name: str) -> None:
    thing = getattr(pyconntrack, name)
    if isinstance(thing, type):
        known = {*SURFACE, *UNNAMED, *dir(builtins)}
        assert [(place, kind) for place, kind in annotations_of(thing) if kind not in known] == []


def test_what_signatures_may_name_without_an_export_is_named_by_one() -> None:
    classes = [getattr(pyconntrack, name) for name in NAMES]
    found = {kind for cls in classes if isinstance(cls, type) for _, kind in annotations_of(cls)}
    assert UNNAMED - found == set()
    assert UNNAMED & set(SURFACE) == set()


MODULES = [
    import_module(found.name)
    for found in walk_packages(pyconntrack.__path__, "pyconntrack.")
    if not found.name.endswith("__main__")
]


def leads_somewhere(name: str, module: ModuleType) -> bool:
    """Whether a cross reference names something: in the package, its module or a class of it."""
    if name.startswith("."):
        name = f"{module.__package__}{name}"
    if name.startswith("pyconntrack."):
        try:
            resolve_name(name)
        except (ImportError, AttributeError):
            return False
        return True
    head, _, rest = name.partition(".")
    if rest:
        return hasattr(getattr(module, head, None), rest)
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    return any(hasattr(place, name) for place in (module, *classes))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_cross_references_lead_somewhere(module: ModuleType) -> None:
    text = Path(module.__file__ or "").read_text(encoding="utf-8")
    names = re.findall(r":(?:class|func|meth|mod|attr|data|exc):`~?([^`]*)`", text)
    assert [name for name in names if not leads_somewhere(name, module)] == []
