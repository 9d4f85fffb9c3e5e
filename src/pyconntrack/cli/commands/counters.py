"""-C and -S: the number of entries, and the kernel's counters.

Scripts call -C most often, so it imports little.
"""

from __future__ import annotations

from ...ctnetlink import requests as ask
from ...ctnetlink.layout import find
from ...errors import DecodeError, KernelError
from ...netlink.conversation import ask as converse
from ...netlink.conversation import dump
from ...netlink.driver import call, stream
from ...netlink.messages import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..main import Runner
    from ..parser import Command

_STATS = (
    *((name, name) for name in ("found", "invalid", "insert", "insert_failed", "drop", "early_drop",
                                "error", "search_restart", "clash_resolve")),
    ("chain_toolong", "chaintoolong"),
)  # fmt: skip
_STATS_EXPECT = tuple((name, f"expect_{name}") for name in ("new", "create", "delete"))


def count(runner: Runner, command: Command) -> int:
    """Run -C: print the number of flows."""
    try:
        messages = call(runner.transport, converse(ask.stats_global(), "counting"))
    except KernelError:
        with open("/proc/sys/net/netfilter/nf_conntrack_count", "rb") as file:
            runner.out.write(file.read())
        raise
    numbers = [find(message).values(message).get("entries") for message in messages]
    if len(numbers) != 1 or numbers[0] is None:
        raise DecodeError("the kernel's answer holds no number of entries")
    _print_count(runner, command, numbers[0])
    return 0


def _print_count(runner: Runner, command: Command, number: int) -> None:
    if command.output:
        from ...formats.json import SCHEMA

        schema = f'"schema":"{SCHEMA}",' if "json" in command.output else ""
        runner.out.write(f'{{{schema}"count":{number}}}\n'.encode())
    else:
        runner.out.write(b"%d\n" % number)


def count_expect(runner: Runner, command: Command) -> int:
    """Run -C of expectations."""
    request = ask.dump("expect", command.family)
    number = 0
    for part in stream(runner.transport, dump(request, "counting", on_interrupt="accept")):
        number += sum(1 for _ in split(part.data[: part.end]))
    _print_count(runner, command, number)
    return 0


def stats(runner: Runner, command: Command) -> int:
    """Run -S: print the kernel's counters, one line for each CPU."""
    expect = command.table == "expect"
    request = ask.stats_exp_cpu() if expect else ask.stats_cpu()
    words = _STATS_EXPECT if expect else _STATS
    lines = []
    try:
        parts = list(stream(runner.transport, dump(request, "reading statistics")))
    except KernelError:
        if not expect:
            runner.out.write(_stats_of_proc())
        raise
    for part in parts:
        for pos, length, _, _, _ in split(part.data[: part.end]):
            message = part.data[pos : pos + length]
            values = find(message).values(message)
            cpu = int.from_bytes(message[18:20])
            if command.output:
                prefix = "expect_" if expect else ""
                numbers = "".join(f',"{prefix}{name}":{value}' for name, value in values.items())
                lines.append(f'{{"cpu":{cpu}{numbers}}}')
                continue
            cells = " ".join(f"{word}={values[name]}" for name, word in words if name in values)
            lines.append(f"cpu={cpu:<4}\t{cells} \n")
    if "json" in command.output:
        from ...formats.json import FOOT, head

        runner.out.write(head("stats") + "\n,".join(lines).encode() + b"\n" + FOOT)
    else:
        # NDJSON lines have no newline yet, the classic ones have
        runner.out.write(("\n" if command.output else "").join([*lines, ""]).encode())
    return 0


def _stats_of_proc() -> bytes:
    """Return the counters of /proc, used when the kernel refuses the request; one line per CPU."""
    from ...netlink.proc import counters

    lines = []
    for cpu, values in enumerate(counters()):
        text = " ".join(f"{name}={value}" for name, value in values.items())
        lines.append(f"cpu={cpu:<4}\t{text} \n")
    return "".join(lines).encode()
