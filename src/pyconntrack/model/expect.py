"""Expectations: connections that a helper expects."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink.schema import EXPECT
from ..escape import printable
from .entry import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Unpack

    from .arguments import ExpectFields
    from .declarations import ExpectAttributes
    from .tuple import Tuple
else:
    ExpectAttributes = object


class Expect(Entry, ExpectAttributes):
    """A connection that a helper expects.

    A connection matches if it equals ``tuple`` under ``mask``; ``master``: the connection to which
    it belongs; ``timeout``: seconds; ``flags``: words (PERMANENT, INACTIVE, USERSPACE) or numbers,
    read as a frozenset of words.
    The kernel's ``class`` is :attr:`class_`.  Source: CTA_EXPECT_*.
    """

    __slots__ = ()
    _rows = EXPECT
    _kind = c.exp_msg(c.IPCTNL_MSG_EXP_NEW)
    _part = "tuple_"

    def __init__(
        self,
        tuple: Tuple | None = None,
        mask: Tuple | None = None,
        master: Tuple | None = None,
        **fields: Unpack[ExpectFields],
    ) -> None:
        named = {name.removesuffix("_"): value for name, value in fields.items()}
        self._build({"tuple": tuple, "mask": mask, "master": master, **named})

    def __str__(self) -> str:
        parts = [] if self.timeout is None else [str(self.timeout)]
        parts.append(f"proto={self.tuple_proto_number or 0}")
        for name in ("tuple", "mask", "master"):
            one = getattr(self, name)
            if one is not None:
                parts.append(str(one) if name == "tuple" else f"{name}: {one}")
        if self.helper:
            parts.append(f"helper={printable(self.helper)}")
        return " ".join(parts)
