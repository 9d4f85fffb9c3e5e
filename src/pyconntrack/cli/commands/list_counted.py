"""``-L --count-by``: how many entries there are of each kind, and the sums of their counters.

Entries are counted as they arrive: what is kept are the groups.
"""

from __future__ import annotations

from ...ctnetlink.constants import AF_INET6
from ...ctnetlink.schema import CONNTRACK, EXPECT
from ...formats.group_keys import GroupKey
from ...formats.groups import COUNT, GroupWriter
from ...thresholds import LISTING
from ...where.fields import ADDRESS, FIELDS, NUMBER, field_of, fields_of_expectations
from ..aligned import screen_of_output
from ..console import UsageError, complain
from ..field_options import kept_field
from ..filters import predicate
from ..grouping import Groups
from ..option_values import decimal
from ..options import COUNTED
from ..selection import Messages, selections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...columnar.grouping import ColumnGroups
    from ...where.fields import Field
    from ..grouping import Order
    from ..main import Runner
    from ..parser import Command
    from ..selection import Selection

#: the length of the prefix of IPv6 addresses where only that of IPv4 addresses is given: a subnet
_SUBNET = 64
_SUMS = ("packets", "bytes")


def show(runner: Runner, command: Command) -> int:
    """Run -L with --count-by."""
    opts = command.opts
    expect = command.table == "expect"
    known = fields_of_expectations() if expect else FIELDS
    keys = [_key(word, known, command) for word in opts["count_by"]]
    sums = [(name, _sum(name, known)) for name in opts.get("sum", ())]
    if bad := [word for word in command.output if word not in (*COUNTED, "csv")]:
        raise UsageError(f"cannot combine --count-by with -o {bad[0]}: take json, ndjson or csv")
    _once([(key.name, key.field) for key in keys], "count-by")
    _once(sums, "sum")
    names, counters = [name for name, _ in sums], [field for _, field in sums]
    if both := {*names} & {key.name for key in keys}:
        raise UsageError(f"--sum: {min(both)} is a field of --count-by", hint=False)
    order = _order(opts.get("sort", [(COUNT, True)]), known, keys, counters)
    found = selections(runner, command, predicate(command), LISTING)
    entries, groups = _counted(found, keys, counters)
    writer = GroupWriter("".join(command.output), keys, names, title=runner.out.terminal,
                         colour=screen_of_output().colour)  # fmt: skip
    shown = 0
    runner.out.write(writer.head)
    for some in groups.ranked(order, opts.get("limit")):
        runner.out.write(writer.lines(some))
        shown += len(some)
    runner.out.write(writer.foot)
    if writer.foot:
        runner.out.flush()
    for name, number in zip(names, groups.lacking(), strict=True):
        if number:
            complain(f"{number} of {entries} entries have no {name} and add nothing: they began "
                     "while net.netfilter.nf_conntrack_acct was 0")  # fmt: skip
    what = "expectations" if expect else "flow entries"
    in_groups = f"{len(groups)} group{'s' * (len(groups) != 1)}"
    rest = f", {shown} of them shown" if shown < len(groups) else ""
    runner.summary(entries, f"{what} have been counted in {in_groups}{rest}")
    return 0


def _counted(
    found: Iterable[Selection], keys: list[GroupKey], sums: list[Field]
) -> tuple[int, Groups | ColumnGroups]:
    """Return the number of entries, and their groups."""
    single, many = Groups(keys, sums), None
    entries = 0
    for part in found:
        entries += part.count
        if isinstance(part, Messages):
            single.add(part)
            continue
        if many is None:
            from ...columnar.grouping import ColumnGroups

            many = ColumnGroups(keys, sums)
        many.add(part)
    if many is None:
        return entries, single
    many.insert(single.totals)
    return entries, many


# ---- fields -------------------------------------------------------------------------------------


def _key(word: str, known: dict[str, Field], command: Command) -> GroupKey:
    """Read FIELD, FIELD/LENGTH or FIELD/LENGTH/LENGTH."""
    name, slash, text = word.partition("/")
    field = kept_field(name, "--count-by", known)
    rows = EXPECT if command.table == "expect" else CONNTRACK
    if not slash:
        return GroupKey(name, field, rows=rows)
    if field.kind != ADDRESS:
        raise UsageError(f"--count-by: `{word}' has a prefix length, but {name} is no "
                         "address", hint=False)  # fmt: skip
    return GroupKey(name, field, _lengths(text, word, command.family), rows)


def _lengths(text: str, word: str, family: int) -> dict[int, int]:
    """Return size of an address -> length of its prefix.

    A single length is that of IPv4, if it can be; with -f ipv6 or an IPv6 address beside it, that
    of IPv6.
    """
    four, slash, six = text.partition("/")
    if slash:
        lengths = {4: decimal(four, 32), 16: decimal(six, 128)}
    else:
        length = decimal(four, 128)
        of_six = family == AF_INET6 or length > 32
        lengths = {4: 32, 16: length} if of_six else {4: length, 16: _SUBNET}
    if min(lengths.values()) < 0:
        raise UsageError(f"--count-by: `{word}': prefix lengths are FIELD/24 (of IPv4), FIELD/56 "
                         "(of IPv6) or FIELD/24/56 (of both)", hint=False)  # fmt: skip
    return lengths


def _sum(name: str, known: dict[str, Field]) -> Field:
    field = kept_field(name, "--sum", known)
    if field.kind != NUMBER or not field.name.endswith(_SUMS):
        counters = [each for each in reversed(known) if each.endswith(_SUMS)]
        these = f"take {', '.join(counters)}" if counters else "expectations have none"
        raise UsageError(f"--sum: {name} is no counter: {these}", hint=False)
    return field


def _once(fields: Iterable[tuple[str, Field]], option: str) -> None:
    seen: set[str] = set()
    for name, field in fields:
        if field.name in seen:
            raise UsageError(f"--{option}: {name} is given twice", hint=False)
        seen.add(field.name)


def _order(
    words: Iterable[tuple[str, bool]], known: dict[str, Field], keys: list[GroupKey],
    sums: Iterable[Field],
) -> Order:  # fmt: skip
    """Return the order that --sort asks for: by count, by sums, by fields."""
    names = [COUNT, *[field.name for field in sums], *[key.field.name for key in keys]]
    order = []
    for word, down in words:
        name = word.partition("/")[0]
        field = field_of(name, known)
        name = field.name if field is not None else name.lower()
        if name not in names:
            raise UsageError(f"--sort: a group has no `{word}': it has {', '.join(names)}",
                             hint=False)  # fmt: skip
        order.append((names.index(name), down))
    return order
