"""Expressions to predicates: ``proto == udp and orig.dst in 10.0.0.0/8 and not assured``.

General layout, each importing only what stands above it: ``lex`` (words and the error), ``names``
(fields and flags), ``sets`` (ranges), ``values``, ``compare`` (one comparison), ``text`` (back to
text), ``grammar``, ``kernel`` (what it checks).  Its language is described in docs/where.md.

The names below import them when they are called: who wants the names of fields alone does not
wait for a parser.
"""

from __future__ import annotations

from .lexer import WhereError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ctnetlink.predicates import Node

__all__ = ["WhereError", "explain", "parse", "show"]


def parse(text: str) -> Node:
    """The predicate that `text` describes; :class:`WhereError` where it is wrong."""
    from .parser import Parser

    return Parser(text).parse()


def show(node: Node) -> str:
    """`node` as an expression, as short as it gets; :func:`parse` reads it."""
    from .unparse import show

    return show(node)


def explain(node: Node | None) -> list[str]:
    """Lines that say what of `node` the kernel filters, what user space must, and why."""
    from .explanation import explain

    return explain(node)
