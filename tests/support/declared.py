"""The types that type checkers see: of fields, from the stub run as a program, and of arguments."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pyconntrack
from pyconntrack.model import arguments

STUB = Path(pyconntrack.__file__).parent / "model/declarations.pyi"
DECLARED = SimpleNamespace(
    **runpy.run_path(str(STUB), run_name="pyconntrack.model.declarations") | vars(arguments)
)
