"""Expectations: connections that a helper waits for."""

from __future__ import annotations

from .. import vocab
from ..convert import words_of
from ..escape import printable
from ..schema import EXPECT
from ..wire import consts as c
from .entry import Entry
from .tuple import Part
from .value import Address, Number, String

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .given import Words
    from .tuple import Tuple


class Expect(Entry):
    """A connection that a helper expects.

    `tuple` under `mask` is what will match, `master` the connection that it belongs to; `timeout`
    in seconds; `flags` numbers or words (PERMANENT, INACTIVE, USERSPACE).  The kernel's ``class``
    is :attr:`class_`.  Source: CTA_EXPECT_*.
    """

    __slots__ = ()
    _rows = EXPECT
    _kind = c.exp_msg(c.IPCTNL_MSG_EXP_NEW)
    _part = "tuple_"

    tuple: Part = Part()
    mask: Part = Part()
    nat_tuple: Part = Part()
    tuple_src: Address = Address()
    tuple_dst: Address = Address()
    tuple_proto: Number = Number()
    tuple_sport: Number = Number()
    tuple_dport: Number = Number()
    tuple_srckey: Number = Number()
    tuple_dstkey: Number = Number()
    tuple_icmp_id: Number = Number()
    tuple_icmp_type: Number = Number()
    tuple_icmp_code: Number = Number()
    tuple_zone: Number = Number()
    mask_src: Address = Address()
    mask_dst: Address = Address()
    mask_proto: Number = Number()
    mask_sport: Number = Number()
    mask_dport: Number = Number()
    mask_srckey: Number = Number()
    mask_dstkey: Number = Number()
    mask_icmp_id: Number = Number()
    mask_icmp_type: Number = Number()
    mask_icmp_code: Number = Number()
    mask_zone: Number = Number()
    flags: Number = Number()
    class_: Number = Number()
    nat_dir: Number = Number()
    nat_tuple_src: Address = Address()
    nat_tuple_dst: Address = Address()
    nat_tuple_proto: Number = Number()
    nat_tuple_sport: Number = Number()
    nat_tuple_dport: Number = Number()
    nat_tuple_srckey: Number = Number()
    nat_tuple_dstkey: Number = Number()
    nat_tuple_icmp_id: Number = Number()
    nat_tuple_icmp_type: Number = Number()
    nat_tuple_icmp_code: Number = Number()
    nat_tuple_zone: Number = Number()
    fn: String = String()

    def __init__(
        self,
        tuple: Tuple | None = None,
        mask: Tuple | None = None,
        master: Tuple | None = None,
        *,
        timeout: int | None = None,
        helper: str | None = None,
        zone: int | None = None,
        flags: Words | None = None,
        class_: int | None = None,
        id: int | None = None,
        nat_dir: int | None = None,
        nat_tuple: Tuple | None = None,
        fn: str | None = None,
    ) -> None:
        self._build({
            "tuple": tuple, "mask": mask, "master": master, "timeout": timeout, "helper": helper,
            "zone": zone, "flags": flags, "class": class_, "id": id, "nat_dir": nat_dir,
            "nat_tuple": nat_tuple, "fn": fn,
        })  # fmt: skip

    @property
    def flag_words(self) -> list[str | int]:
        """The words of ``flags``."""
        return words_of(vocab.EXPECT_FLAGS, self.flags or 0)

    def __str__(self) -> str:
        parts = [] if self.timeout is None else [str(self.timeout)]
        parts.append(f"proto={self.tuple_proto or 0}")
        for name in ("tuple", "mask", "master"):
            one = getattr(self, name)
            if one is not None:
                parts.append(str(one) if name == "tuple" else f"{name}: {one}")
        if self.helper:
            parts.append(f"helper={printable(self.helper)}")
        return " ".join(parts)
