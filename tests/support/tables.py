"""Tables of flows made of columns, without a message for each flow."""

from __future__ import annotations

from functools import cache
from ipaddress import ip_address
from typing import Any

import numpy as np

from pyconntrack import FlowTable
from pyconntrack.columnar.table_columns import ADDRESS, COLUMNS, FLAG, WORD
from pyconntrack.columnar.value_columns import AddressColumn, FlagColumn, WordColumn

#: the columns of the tables, as those of a snapshot
NAMES = (
    "family", "orig_proto", "orig_src", "orig_dst", "orig_sport", "orig_dport", "reply_src",
    "reply_dst", "reply_sport", "reply_dport", "status", "tcp_state", "timeout", "helper", "zone",
    "orig_zone", "reply_zone",
)  # fmt: skip


@cache
def octets(text: str) -> bytes:
    return ip_address(text).packed


def flow_table(count: int, **values: Any) -> FlowTable:
    """Return a table of ``count`` flows.

    A keyword is a column: one value for all flows, or one for each, None where a flow has none;
    words and sets of words as numbers, addresses as texts.
    """
    given = {"family": 2, **values}
    columns: dict[str, Any] = {}
    masks = {}
    for name in (*NAMES, *(name for name in given if name not in NAMES)):
        column, value = COLUMNS[name], given.get(name)
        if value is None or isinstance(value, (int, str)):
            value = [value] * count
        listed = list(value)
        present = np.array([each is not None for each in listed], np.bool_)
        if column.form == ADDRESS:
            packed = [octets(each) if each else b"" for each in listed]
            raw = np.frombuffer(b"".join(each.ljust(16, b"\0") for each in packed), np.uint8)
            family = np.array([10 if len(each) == 16 else 2 for each in packed], np.uint8)
            columns[name] = AddressColumn(name, raw.reshape(count, 16), present, family)
        elif column.form in (WORD, FLAG):
            numbers = np.array([each or 0 for each in listed], column.dtype)
            kind = WordColumn if column.form == WORD else FlagColumn
            columns[name] = kind(name, numbers, present, column.words or {})
        elif column.dtype == object:
            columns[name] = np.array([*listed, None], object)[:-1]
        else:
            columns[name] = np.array([each or 0 for each in listed], column.dtype)
            masks[name] = present
    return FlowTable(columns, masks)
