"""Compile a predicate to a classic BPF program, so that unwanted events never reach the socket.

The program rejects an event only if the predicate is surely false, so it only narrows: what passes
is decided again in user space.  A comparison that it cannot make (texts, labels, 64 bit counters,
sums) is taken as undecided.

Only events of flows are checked; all other messages (expectations, answers, dumps) pass.
Source: linux/filter.h; bpf_skb_get_nlattr, bpf_skb_get_nlattr_nest (net/core/filter.c).
"""

from __future__ import annotations

import sys
from struct import Struct

from ..netlink import constants as nl
from . import constants as c
from .kinds import IPV4, IPV6
from .predicates import ZERO_IS_ABSENT, And, Bits, In, Net, Not, Or
from .schema import CONNTRACK, TUPLE, Attr, leaves

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .kinds import Kind
    from .predicates import Node
    from .schema import Rows

    Path = tuple[int, ...]
    #: where a field may lie: attribute numbers from the outermost, its kind, and the protocols of
    #: the tuples that have it (none: all)
    Place = tuple[Path, Kind, tuple[int | None, ...]]

#: struct sock_filter: code, jt, jf, k
_INSTRUCTION = Struct("=HBBI")
#: BPF_LD | BPF_ABS, BPF_LD | BPF_IND, by the size of a number
_ABS = {1: 0x30, 2: 0x28, 4: 0x20}
_IND = {1: 0x50, 2: 0x48, 4: 0x40}
_LD_IMM, _LDX_IMM, _TAX, _AND, _JA, _JEQ, _JGT, _JGE, _JSET, _RET = (
    0x00, 0x01, 0x07, 0x54, 0x05, 0x15, 0x25, 0x35, 0x45, 0x06,
)  # fmt: skip
#: SKF_AD_OFF + SKF_AD_NLATTR, + SKF_AD_NLATTR_NEST
_NLATTR, _NLATTR_NEST = 0xFFFFF000 + 12, 0xFFFFF000 + 16
_FIRST = nl.NLMSG_HDRLEN + nl.NFGENMSG_LEN
_WORD = 0xFFFFFFFF
#: offsets of low bytes, as nlmsghdr is in host order and a program loads in network order
_FLAGS, _SUBSYSTEM = (6, 5) if sys.byteorder == "little" else (7, 4)
#: CTA_PROTO_NUM, in the nest of the fields whose meaning the protocol decides
_PROTO_NUM = next(row.number for _, _, row in leaves(TUPLE) if row.shape)
_MAX = 4096  # BPF_MAXINSNS
#: a comparison that would make a program longer is left to user space
_LIMIT = 2048


def program(node: Node | None) -> bytes:
    """Return the program (struct sock_filter) that rejects events for which ``node`` is false.

    It is empty if nothing would be rejected, or if it would be too long.
    """
    if node is None or not judges(node):
        return b""
    out = _Assembler()
    accept, reject = out.label(), out.label()
    out.load(_ABS[1], _SUBSYSTEM)
    out.leave(_JEQ, c.NFNL_SUBSYS_CTNETLINK, accept, where=False)
    out.load(_ABS[1], _FLAGS)
    out.leave(_JSET, nl.NLM_F_MULTI, accept, where=True)
    _emit(out, node, accept, reject, may=True)
    out.place(accept)
    out.load(_RET, _WORD)
    out.place(reject)
    out.load(_RET, 0)
    code = out.assemble()
    return code if len(code) <= _MAX * _INSTRUCTION.size else b""


def judges(node: Node) -> bool:
    """Return whether a program can reject anything for ``node``."""
    return _decides(node, may=True)


def _decides(node: Node, *, may: bool) -> bool:
    """Return whether a program can prove ``node`` false (``may``) or true (not ``may``)."""
    if isinstance(node, Not):
        return _decides(node.node, may=not may)
    if isinstance(node, And | Or):
        found = [_decides(inner, may=may) for inner in node.nodes]
        return any(found) if isinstance(node, And) is may else all(found)
    return _size(node) > 0


def _size(node: Node) -> int:
    """Return about how many instructions a comparison takes, 0 if a program cannot make it."""
    if isinstance(node, In) and len(node.fields) == 1:
        field, comparisons = node.fields[0], 6 * len(node.ranges)
    elif isinstance(node, Net):
        field, comparisons = node.field, 24 * len(node.networks)
    elif isinstance(node, Bits):
        field, comparisons = node.field, 4
    else:
        return 0
    places = _PLACES.get(field, ())
    sizes = {kind.size for _, kind, _ in places} or ({1} if field == "family" else {0})
    if not sizes <= {1, 2, 4, 16} or comparisons >= _LIMIT:
        return 0
    return comparisons + 40 + sum(40 + 3 * len(protocols) for *_, protocols in places if protocols)


def _walk(rows: Rows, path: Path, prefix: str, out: dict[str, list[Place]]) -> None:
    for row in rows.values():
        inner = (*path, row.number)
        if isinstance(row, Attr):
            out.setdefault(prefix + row.name, []).append((inner, row.kind, row.protocols))
        else:
            _walk(row.rows, inner, f"{prefix}{row.name}_" if row.name else prefix, out)


_PLACES: dict[str, list[Place]] = {}
_walk(CONNTRACK, (), "", _PLACES)


def _emit(out: _Assembler, node: Node, yes: int, no: int, *, may: bool) -> None:
    """Emit code that jumps to ``yes`` or ``no``; if undecided, to ``yes`` iff ``may``."""
    if isinstance(node, Not):
        _emit(out, node.node, no, yes, may=not may)
    elif isinstance(node, And | Or):
        every = isinstance(node, And)
        for inner in node.nodes:
            on = out.label()
            _emit(out, inner, *((on, no) if every else (yes, on)), may=may)
            out.place(on)
        out.jump(yes if every else no)
    elif not _size(node) or out.size + _size(node) > _LIMIT:
        out.jump(yes if may else no)
    elif isinstance(node, In):
        _emit_in(out, node, yes, no)
    elif isinstance(node, Net):
        _emit_net(out, node, yes, no)
    elif isinstance(node, Bits):
        _emit_bits(out, node, yes, no)


def _emit_in(out: _Assembler, node: In, yes: int, no: int) -> None:
    field = node.fields[0]
    if field == "family":
        out.load(_ABS[1], nl.NLMSG_HDRLEN)
    else:
        _load_first(out, field, no)
    for low, high in node.ranges:
        low, high = max(low, 0), min(high, _WORD)
        if low == high:
            out.leave(_JEQ, low, yes, where=True)
        elif low < high:
            on = out.label()
            out.leave(_JGE, low, on, where=False)
            out.branch(_JGT, high, on, yes)
            out.place(on)
    out.jump(no)


def _emit_bits(out: _Assembler, node: Bits, yes: int, no: int) -> None:
    _load_first(out, node.field, no)
    out.load(_AND, node.mask & _WORD)
    if node.want > _WORD:
        out.jump(no)
    else:
        out.branch(_JEQ, node.want, yes, no)


def _emit_net(out: _Assembler, node: Net, yes: int, no: int) -> None:
    for path, kind, _ in _PLACES.get(node.field, ()):
        networks = [net for net in node.networks if len(net[0]) == kind.size]
        absent = out.label()
        if networks and kind in (IPV4, IPV6):
            _find(out, path, absent)
            for address, mask in networks:
                other = out.label()
                for at in range(0, kind.size, 4):
                    bits = int.from_bytes(mask[at : at + 4])
                    if bits:
                        out.load(_IND[4], nl.NLA_HDRLEN + at)
                        out.load(_AND, bits)
                        want = int.from_bytes(address[at : at + 4]) & bits
                        out.leave(_JEQ, want, other, where=False)
                out.jump(yes)
                out.place(other)
            out.jump(no)
        out.place(absent)
    out.jump(no)


def _load_first(out: _Assembler, field: str, absent: int) -> None:
    """Emit code that loads the number ``field`` from its first place, or the 0 that is left out."""
    there = out.label()
    for path, kind, protocols in _PLACES.get(field, ()):
        other = out.label()
        if protocols:
            meant = out.label()
            _find(out, (*path[:-1], _PROTO_NUM), meant if None in protocols else other)
            out.load(_IND[1], nl.NLA_HDRLEN)
            for protocol in protocols:
                if protocol is not None:
                    out.leave(_JEQ, protocol, meant, where=True)
            out.jump(other)
            out.place(meant)
        _find(out, path, other)
        out.load(_IND[kind.size], nl.NLA_HDRLEN)
        out.jump(there)
        out.place(other)
    if field in ZERO_IS_ABSENT:
        for name in ZERO_IS_ABSENT[field]:
            for path, _, _ in _PLACES[name]:
                other = out.label()
                _find(out, path, other)
                out.jump(absent)
                out.place(other)
        out.load(_LD_IMM, 0)
    else:
        out.jump(absent)
    out.place(there)


def _find(out: _Assembler, path: Path, absent: int) -> None:
    """Emit code that sets X to the offset of the attribute at ``path``."""
    out.load(_LD_IMM, _FIRST)
    for depth, number in enumerate(path):
        out.load(_LDX_IMM, number)
        out.load(_ABS[4], _NLATTR_NEST if depth else _NLATTR)
        out.leave(_JEQ, 0, absent, where=True)
    out.load(_TAX, 0)


class _Assembler:
    """Instructions with labels; all jumps go forward."""

    def __init__(self) -> None:
        #: (code, k, labels to go to: none, one, or two)
        self._code: list[tuple[int, int, tuple[int, ...]]] = []
        self._labels: list[int] = []

    @property
    def size(self) -> int:
        """Return the largest possible number of instructions."""
        return 3 * len(self._code)

    def label(self) -> int:
        """Return a new label."""
        self._labels.append(-1)
        return len(self._labels) - 1

    def place(self, label: int) -> None:
        """Put ``label`` at the next instruction."""
        self._labels[label] = len(self._code)

    def load(self, code: int, k: int) -> None:
        """Add an instruction without a jump."""
        self._code.append((code, k, ()))

    def jump(self, label: int) -> None:
        """Add a jump to ``label``."""
        self._code.append((_JA, 0, (label,)))

    def branch(self, code: int, k: int, true: int, false: int) -> None:
        """Add a comparison that jumps to ``true`` or ``false``."""
        self._code.append((code, k, (true, false)))

    def leave(self, code: int, k: int, label: int, *, where: bool) -> None:
        """Add a comparison that jumps to ``label`` if its result is ``where``."""
        on = self.label()
        self.branch(code, k, *((label, on) if where else (on, label)))
        self.place(on)

    def assemble(self) -> bytes:
        """Return the program.

        A branch reaches 255 instructions only, so each is followed by two jumps.
        """
        sizes = [3 if len(targets) == 2 else 1 for _, _, targets in self._code]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + size)
        out = []
        for number, (code, k, targets) in enumerate(self._code):
            at = starts[number]
            ends = [starts[self._labels[target]] - at - 1 for target in targets]
            if len(ends) == 2:
                out.append(_INSTRUCTION.pack(code, 0, 1, k))
                out += [_INSTRUCTION.pack(_JA, 0, 0, end - 1 - n) for n, end in enumerate(ends)]
            else:
                out.append(_INSTRUCTION.pack(code, 0, 0, ends[0] if ends else k))
        return b"".join(out)
