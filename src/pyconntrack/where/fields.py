"""The names in an expression: fields, from the schema, and flags."""

from __future__ import annotations

from ..ctnetlink import constants as c
from ..ctnetlink import vocabulary
from ..ctnetlink.kinds import IPV4, IPV6, LABEL_BYTES, TEXT
from ..ctnetlink.predicates import SECOND, Bits, Or, translated
from ..ctnetlink.schema import CONNTRACK, EXPECT, REPORT, TURNED, groups, leaves, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..ctnetlink.layout import Layout
    from ..ctnetlink.predicates import Node
    from ..ctnetlink.schema import Rows

NUMBER, ADDRESS, STRING, FAMILY, STATE, LABEL, AGE = (
    "number", "address", "text", "family", "state", "label", "age",
)  # fmt: skip

TIME = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
SIZE = {
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40,
}  # fmt: skip
BYTES = {"b": 1, **SIZE, **{f"{unit}b": factor for unit, factor in SIZE.items()}}

#: the groups of fields, whose names a dot may follow, longest first
_GROUPS = sorted({*groups(CONNTRACK, REPORT), *groups(EXPECT, REPORT)}, key=len, reverse=True)
_ALIASES = (*TURNED, "proto", "icmp_type", "icmp_code", "icmp_id")
#: names of their own
_SHORT = {"timestamp_start": "start", "timestamp_stop": "stop"}
_WANTED = {
    ADDRESS: "an address", STRING: "a text", FAMILY: "ipv4 or ipv6",
    STATE: "the word of a state", LABEL: "the number of a label, 0 to 127",
}  # fmt: skip


class Field:
    """A field of an expression.

    ``name``: its canonical spelling; ``names``: the schema fields that add up to it (of a state:
    any of which); ``limit``: its largest value; ``words``: number -> word; ``units``: suffix ->
    factor; ``bits``: flag -> its bit, of a field of flags.
    """

    __slots__ = ("bits", "kind", "limit", "name", "names", "units", "words")

    def __init__(
        self, name: str, names: tuple[str, ...], kind: str, limit: int = 0,
        words: Mapping[int, str] | None = None, bits: Mapping[str, Bits] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.names, self.kind, self.limit = name, names, kind, limit
        self.words, self.bits = words or {}, bits or {}
        self.units: Mapping[str, int] = {}
        if name in ("timeout", "age"):
            self.units = TIME
        elif name.endswith("bytes"):
            self.units = BYTES
        elif name.endswith("packets"):
            self.units = SIZE

    def within(self, layout: Layout) -> list[str]:
        """Return the schema fields of ``layout`` whose sum is the field; [] if it lacks one.

        Of the states an entry has one; the family belongs to every layout.
        """
        if self.kind == FAMILY:
            return [*self.names]
        names = [name for name in self.names if name in layout.slots]
        return names if self.kind == STATE or len(names) == len(self.names) else []

    @property
    def port(self) -> bool:
        """Return whether its values are ports, which have names of services."""
        return self.name.endswith((".sport", ".dport"))

    @property
    def time(self) -> bool:
        """Return whether its values are times, in nanoseconds since 1970."""
        return self.names[0].startswith("timestamp_")

    @property
    def wanted(self) -> str:
        """Return what its values are, for messages."""
        if self.kind in _WANTED:
            return _WANTED[self.kind]
        if self.time:
            return "a time, as in 2026-11-25T08:00 (local), 2026-11-25T08:00:00Z or nanoseconds"
        words = "a word or " if self.words or self.bits else ""
        words = "the name of a service or " if self.port else words
        names = [unit for unit in self.units if unit[-1] != "b"]
        units = f", with or without a unit ({' '.join(names)})" if names else ""
        return f"{words}a number from 0 to {self.limit}{units}"


def dotted(name: str) -> str:
    """Return the canonical spelling of the schema field ``name``."""
    if name in _SHORT:
        return _SHORT[name]
    for group in _GROUPS:
        if name.startswith(group + "_") and name not in _GROUPS:
            return group + "." + name[len(group) + 1 :]
    return name


def _table(rows: Rows, tuple_name: str) -> dict[str, Field]:
    """Return every spelling -> its field; those of ``tuple_name`` need no prefix."""
    found: dict[str, Field] = {}
    reported = names(rows, REPORT)
    for name, _, row in leaves(rows):
        if name not in reported or name in found:
            continue
        if row.kind in (IPV4, IPV6):
            found[name] = Field(dotted(name), (name,), ADDRESS)
        elif row.kind is TEXT:
            found[name] = Field(name, (name,), STRING)
        elif row.kind.number:
            flags = row.words in vocabulary.FLAGS
            words, bits = (None, _bits()) if flags else (row.words, None)
            found[name] = Field(dotted(name), (name,), NUMBER, row.kind.limit, words, bits)
    for name in _ALIASES:
        found[name] = found[f"{tuple_name}_{name}"]
    found["family"] = Field("family", ("family",), FAMILY, 255)
    return found


def _of_flows() -> dict[str, Field]:
    found = _table(CONNTRACK, "orig")
    for name, short in _SHORT.items():
        found[short] = found[name]
    for name in ("packets", "bytes"):
        found[name] = Field(name, ("orig_" + name, "reply_" + name), NUMBER, (1 << 64) - 1)
    found["age"] = Field("age", ("age",), AGE, ((1 << 64) - 1) // SECOND)
    found["state"] = Field("state", tuple(vocabulary.STATES), STATE, 255)
    found["label"] = found["labels"] = Field("label", ("labels",), LABEL, 8 * LABEL_BYTES - 1)
    return found


def _bits() -> dict[str, Bits]:
    """Return the words of the status -> their bits."""
    bits = {word.lower(): Bits("status", bit, bit) for bit, word in vocabulary.STATUS.items()}
    bits["unreplied"] = Bits("status", c.IPS_SEEN_REPLY, 0)
    bits["unset"] = Bits("status", vocabulary.UNSET, 0)
    return bits


def _flags() -> dict[str, Node]:
    flags: dict[str, Node] = {**_bits()}
    flags["snat"] = translated("src", "dst")
    flags["dnat"] = translated("dst", "src")
    flags["nat"] = Or((flags["snat"], flags["dnat"]))
    return flags


#: every spelling with underscores -> its field
FIELDS = _of_flows()
#: every flag -> its predicate
FLAGS = _flags()


def field_of(word: str, known: Mapping[str, Field] = FIELDS) -> Field | None:
    """Return the field with the name ``word`` (dots or underscores, any case), or None."""
    if word.startswith(".") or word.endswith(".") or ".." in word:
        return None
    return known.get(word.lower().replace(".", "_"))


def fields_of_expectations() -> dict[str, Field]:
    """Return every spelling of a field of an expectation -> the field."""
    return _table(EXPECT, "tuple")


def spellings(known: Mapping[str, Field] = FIELDS) -> list[str]:
    """Return the names to suggest: aliases first, then every field in canonical spelling."""
    return [*(name for name in known if "_" not in name), *_ALIASES,
            *(field.name for field in known.values())]  # fmt: skip
