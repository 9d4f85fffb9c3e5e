"""Docstrings of the package to Markdown: roles, literal blocks and tables of reStructuredText."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?([^`]*)`")
_RULE = r"={2,}(?: +={2,})+"
_TABLE = re.compile(rf"^({_RULE}\n.*?\n{_RULE}\n.*?\n{_RULE})$", re.M | re.S)


def markdown(text: str) -> str:
    """A docstring as Markdown."""
    text = _ROLE.sub(lambda found: f"`{found[1].removeprefix('pyconntrack.')}`", text)
    text = _TABLE.sub(r"```text\n\1\n```", text)
    return re.sub(r"::$", ":", text, flags=re.M)


class Markdown(griffe.Extension):
    """Turns every docstring as it is read."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each object with a docstring."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
