"""The public surface: names, what importing costs, docstrings."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name, walk_packages
from types import ModuleType

import pytest

import pyconntrack
from pyconntrack.ctnetlink import literals
from support import ROOT

SURFACE = [
    "AddressColumn", "AsyncConntrack", "AsyncDump", "AsyncEvents", "Conntrack",
    "ConntrackError", "CpuStats", "DccpRole", "DccpState", "DecodeError", "Dump",
    "DumpInterruptedError", "Event", "EventKind", "Events", "EventsLost", "ExistsError",
    "Expect", "ExpectFlag", "FamilyName", "Filter", "FlagColumn", "Flow", "FlowTable",
    "KernelError", "LoadError", "NotFoundError", "NotSupportedError", "PermissionDeniedError",
    "ProtoName", "RequestError", "SctpState", "Stats", "StatusName", "TableFullError",
    "TcpState", "Tuple", "Unknown", "WhereError", "WordColumn", "__version__",
]  # fmt: skip
KINDS = {name for name in vars(literals) if name in SURFACE}
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
    if name in KINDS:  # a Literal has no docstring
        assert f"**`{name}`**" in (ROOT / "docs/fields.md").read_text(encoding="utf-8")
        return
    assert inspect.getdoc(thing)
    for inner, value in vars(thing).items():
        if not inner.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
            assert inspect.getdoc(value), f"{name}.{inner}"


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
