"""The names in an expression: fields, from the schema, and flags."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink import vocabulary
from ..ctnetlink.kinds import IPV4, IPV6, LABEL_BYTES, TEXT
from ..ctnetlink.predicates import Bits, Or, translated
from ..ctnetlink.schema import CONNTRACK, REPORT, TURNED, groups, leaves, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ctnetlink.predicates import Node

NUMBER, ADDRESS, STRING, FAMILY, STATE, LABEL = (
    "number", "address", "text", "family", "state", "label",
)  # fmt: skip

TIME = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SIZE = {
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
}  # fmt: skip

#: the groups of fields, whose names a dot may follow, longest first
_GROUPS = sorted(groups(CONNTRACK, REPORT), key=len, reverse=True)
_ALIASES = (*TURNED, "proto", "icmp_type", "icmp_code", "icmp_id")
_WANTED = {
    ADDRESS: "an address", STRING: "a text", FAMILY: "ipv4 or ipv6",
    STATE: "the word of a state", LABEL: "the number of a label, 0 to 127",
}  # fmt: skip


class Field:
    """A field of an expression.

    ``name``: its canonical spelling; ``names``: the schema fields that add up to it (of a state:
    any of which); ``limit``: its largest value; ``words``: number -> word; ``units``: suffix ->
    factor.
    """

    __slots__ = ("kind", "limit", "name", "names", "units", "words")

    def __init__(
        self, name: str, names: tuple[str, ...], kind: str, limit: int = 0,
        words: Mapping[int, str] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.names, self.kind, self.limit = name, names, kind, limit
        self.words = words or {}
        counts = name.endswith(("bytes", "packets"))
        self.units: Mapping[str, int] = TIME if name == "timeout" else SIZE if counts else {}

    @property
    def wanted(self) -> str:
        """Return what its values are, for messages."""
        if self.kind in _WANTED:
            return _WANTED[self.kind]
        words = "a word or " if self.words else ""
        units = f", with or without a unit ({' '.join(self.units)})" if self.units else ""
        return f"{words}a number from 0 to {self.limit}{units}"


def dotted(name: str) -> str:
    """Return the canonical spelling of the schema field ``name``."""
    for group in _GROUPS:
        if name.startswith(group + "_") and name not in _GROUPS:
            return group + "." + name[len(group) + 1 :]
    return name


def _table() -> dict[str, Field]:
    found: dict[str, Field] = {}
    reported = names(CONNTRACK, REPORT)
    for name, _, row in leaves(CONNTRACK):
        if name not in reported or name in found:
            continue
        if row.kind in (IPV4, IPV6):
            found[name] = Field(dotted(name), (name,), ADDRESS)
        elif row.kind is TEXT:
            found[name] = Field(name, (name,), STRING)
        elif row.kind.number:
            words = None if row.words in vocabulary.FLAGS else row.words
            found[name] = Field(dotted(name), (name,), NUMBER, row.kind.limit, words)
    for name in _ALIASES:
        found[name] = found["orig_" + name]
    for name in ("packets", "bytes"):
        found[name] = Field(name, ("orig_" + name, "reply_" + name), NUMBER, (1 << 64) - 1)
    found["family"] = Field("family", ("family",), FAMILY, 255)
    found["state"] = Field("state", tuple(vocabulary.STATES), STATE, 255)
    found["label"] = found["labels"] = Field("label", ("labels",), LABEL, 8 * LABEL_BYTES - 1)
    return found


def _flags() -> dict[str, Node]:
    flags: dict[str, Node] = {
        word.lower(): Bits("status", bit, bit) for bit, word in vocabulary.STATUS.items()
    }
    flags["unreplied"] = Bits("status", c.IPS_SEEN_REPLY, 0)
    flags["unset"] = Bits("status", vocabulary.UNSET, 0)
    flags["snat"] = translated("src", "dst")
    flags["dnat"] = translated("dst", "src")
    flags["nat"] = Or((flags["snat"], flags["dnat"]))
    return flags


#: every spelling with underscores -> its field
FIELDS = _table()
#: every flag -> its predicate
FLAGS = _flags()


def field_of(word: str) -> Field | None:
    """Return the field with the name ``word`` (dots or underscores, any case), or None."""
    if word.startswith(".") or word.endswith(".") or ".." in word:
        return None
    return FIELDS.get(word.lower().replace(".", "_"))


def spellings() -> list[str]:
    """Return the names to suggest: aliases first, then every field in canonical spelling."""
    return [*(name for name in FIELDS if "_" not in name), *_ALIASES,
            *(field.name for field in FIELDS.values())]  # fmt: skip
