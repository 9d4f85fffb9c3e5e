"""Run a classic BPF program as the kernel does."""

from __future__ import annotations

import struct
import sys

from pyconntrack.netlink import constants as nl


def run(code: bytes, data: bytes) -> bool:
    """Whether the program passes a datagram: classic BPF as net/core/filter.c runs it."""
    program = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    a = x = at = 0
    sizes = {0x30: 1, 0x28: 2, 0x20: 4, 0x50: 1, 0x48: 2, 0x40: 4}
    while True:
        op, jt, jf, k = program[at]
        at += 1
        if op == 0x20 and k >= 0xFFFFF000:
            a = attribute(data, a, x, nested=k == 0xFFFFF000 + 16)
        elif op in sizes:
            begin = k + (x if op >= 0x40 else 0)
            if begin + sizes[op] > len(data):
                return False
            a = int.from_bytes(data[begin : begin + sizes[op]])
        elif op in (0x00, 0x01, 0x07, 0x54):
            a, x = {0x00: (k, x), 0x01: (a, k), 0x07: (a, a), 0x54: (a & k, x)}[op]
        elif op == 0x05:
            at += k
        elif op in (0x15, 0x25, 0x35, 0x45):
            true = {0x15: a == k, 0x25: a > k, 0x35: a >= k, 0x45: bool(a & k)}[op]
            at += jt if true else jf
        else:
            assert op == 0x06, op
            return bool(k)


def attribute(data: bytes, a: int, x: int, *, nested: bool) -> int:
    """bpf_skb_get_nlattr and bpf_skb_get_nlattr_nest."""
    end = len(data)
    if len(data) < 4 or a > end - 4:
        return 0
    if nested:
        size = int.from_bytes(data[a : a + 2], sys.byteorder)
        if size > end - a:
            return 0
        a, end = a + 4, a + size
    while end - a >= 4:
        size, kind = struct.unpack_from("=HH", data, a)
        if not 4 <= size <= end - a:
            return 0
        if kind & nl.NLA_TYPE_MASK == x:
            return a
        a += (size + 3) & ~3
    return 0
