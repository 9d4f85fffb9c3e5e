"""Expressions to predicates: ``proto == udp and orig.dst in 10.0.0.0/8 and not assured``.

General layout, each module importing only those before it: ``lexer`` (words and the error),
``fields`` (fields and flags), ``sets`` (ranges), ``values``, ``comparison``, ``unparse`` (back to
text), ``parser``, ``explanation`` (what the kernel checks).  docs/where.md describes the language.

The functions import them when called, so that the names of fields are had without the parser.
"""

from __future__ import annotations

from .lexer import WhereError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ctnetlink.predicates import Node

__all__ = ["WhereError", "explain", "parse", "show"]


def parse(text: str) -> Node:
    """Return the predicate of ``text``; raise :class:`WhereError` if it is wrong."""
    from .parser import Parser

    return Parser(text).parse()


def show(node: Node) -> str:
    """Return a short expression for ``node``, which :func:`parse` reads."""
    from .unparse import show

    return show(node)


def explain(node: Node | None) -> list[str]:
    """Return lines that explain what of ``node`` the kernel filters, what user space, and why.

    They are about a dump of the library, which is the same for a table of any size.
    """
    from ..ctnetlink.pushdown import push_down
    from .explanation import explain

    return explain(node, [push_down(node)])
