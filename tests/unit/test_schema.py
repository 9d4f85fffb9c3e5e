"""The schema against the kernel's own header (Debian's linux-libc-dev)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyconntrack.ctnetlink import schema
from pyconntrack.ctnetlink.schema import Attr, Rows
from pyconntrack.model import CpuStats, Expect, Flow, Tuple, flatten
from support.netns import unavailable

HEADER = Path("/usr/include/linux/netfilter/nfnetlink_conntrack.h")

#: names in the header that the schema leaves out, and why
EXCEPTIONS = {
    "CTA_NAT": "the same number as CTA_NAT_SRC, an old name",
    "CTA_SECMARK_OBSOLETE": "never carried",
    "CTA_COUNTERS_PAD": "padding",
    "CTA_TIMESTAMP_PAD": "padding",
    "CTA_PROTOINFO_DCCP_PAD": "padding",
    "CTA_STATS_PAD": "padding",
    "CTA_NAT_SEQ_ADJ_ORIG": "an old name of CTA_SEQ_ADJ_ORIG",
    "CTA_NAT_SEQ_ADJ_REPLY": "an old name of CTA_SEQ_ADJ_REPLY",
    "CTA_NAT_SEQ_UNSPEC": "placeholder",
    "CTA_NAT_SEQ_CORRECTION_POS": "never carried since 2.6.20; CTA_SEQADJ_* is",
    "CTA_NAT_SEQ_OFFSET_BEFORE": "never carried since 2.6.20; CTA_SEQADJ_* is",
    "CTA_NAT_SEQ_OFFSET_AFTER": "never carried since 2.6.20; CTA_SEQADJ_* is",
}
#: names that the schema spells otherwise than an older or newer header
ALIASES = {"CTA_NAT_V4_MINIP": "CTA_NAT_MINIP", "CTA_NAT_V4_MAXIP": "CTA_NAT_MAXIP"}


def header() -> dict[str, int]:
    if not HEADER.exists():
        unavailable(f"{HEADER} (linux-libc-dev) is not installed")
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(encoding="utf-8"), flags=re.S)
    text = re.sub(r"#define[^\n]*", "", text)
    names: dict[str, int] = {}
    for body in re.findall(r"enum\s+\w+\s*\{(.*?)\}", text, flags=re.S):
        number = -1
        for item in filter(None, (part.strip() for part in body.split(","))):
            name, _, value = (part.strip() for part in item.partition("="))
            number = int(value, 0) if value.isdigit() else names.get(value, number + 1)
            names[name] = number
    return names


def ours(rows: Rows) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows.values():
        found[row.cta] = row.number
        if not isinstance(row, Attr):
            found |= ours(row.rows)
    return found


def everything() -> dict[str, int]:
    found: dict[str, int] = {}
    for rows in (
        schema.CONNTRACK, schema.EXPECT, schema.STATS_CPU, schema.STATS_GLOBAL,
        schema.STATS_EXP_CPU,
    ):  # fmt: skip
        found |= ours(rows)
    return found


def test_every_attribute_of_the_header_is_in_the_schema() -> None:
    kernel, mine = header(), everything()
    missing = {
        name: number
        for name, number in kernel.items()
        if name.startswith("CTA_")
        and not name.endswith(("_UNSPEC", "_MAX"))
        and name not in EXCEPTIONS
        and name not in mine
        and name not in ALIASES.values()
    }
    assert missing == {}


def test_every_number_of_the_schema_is_the_headers() -> None:
    kernel = header()
    wrong = {
        name: (number, kernel.get(name))
        for name, number in everything().items()
        if kernel.get(name, number) != number
    }
    assert wrong == {}
    newer = {name for name in everything() if name not in kernel}
    assert newer <= {
        "CTA_TIMESTAMP_EVENT", "CTA_FILTER_ORIG_FLAGS", "CTA_FILTER_REPLY_FLAGS",
    }, newer  # fmt: skip


@pytest.mark.parametrize(
    ("cls", "rows"),
    [
        (Flow, schema.CONNTRACK), (Expect, schema.EXPECT), (Tuple, schema.TUPLE),
        (CpuStats, schema.STATS_CPU), (CpuStats, schema.STATS_EXP_CPU),
    ],
)  # fmt: skip
def test_every_field_of_the_schema_is_an_attribute(cls: type, rows: Rows) -> None:
    missing = [
        name for name in flatten(rows) if not (hasattr(cls, name) or hasattr(cls, name + "_"))
    ]
    assert missing == []


def test_rows_of_one_name_are_of_one_nature() -> None:
    for rows in (schema.CONNTRACK, schema.EXPECT):
        for name, found in flatten(rows).items():
            assert len({row.kind.number for row in found}) == 1, name
