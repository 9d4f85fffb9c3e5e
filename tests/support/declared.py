"""The types that type checkers see for the fields: the stub of the package, run as a program."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pyconntrack

STUB = Path(pyconntrack.__file__).parent / "model/declarations.pyi"
DECLARED = SimpleNamespace(**runpy.run_path(str(STUB), run_name="pyconntrack.model.declarations"))
