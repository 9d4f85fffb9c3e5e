"""Events: the CPU of one, the highest rate without a loss, and whether each loss is counted."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator

from . import child, measure, netlink
from .jobs import Row, Runner
from .measure import NotAvailable, Sample
from .special import Take, turns

STEADY = 20_000  # events a second when the CPU is measured
UNWANTED = "-p icmp"  # a filter that matches no event of the generator
LADDER = (10, 20, 40, 80, 120, 160, 200, 250, 300, 400, 500)  # thousands of events a second
WANTED = 300.0  # the same
FLOODED = "-b 16384"  # bytes: the buffer holds less than one send of the generator


class Heard:
    """A tool that listened to the generator: CPU, losses."""

    def __init__(self, tool: list[str], rate: int, seconds: float, more: str = "") -> None:
        self.events, self.rate, self.drops = 0, 0.0, 0
        self.told = 0  # events that it reports as shown or lost
        with tempfile.TemporaryFile() as err:
            pid = measure.spawn([*tool, "-E", *more.split()], "/dev/null", err.fileno())
            try:
                measure.until(lambda: bool(netlink.listeners()), 10)
                if not netlink.listeners():
                    raise NotAvailable("it did not begin to listen")
                time.sleep(0.1)
                if rate:
                    self._generate(rate, seconds)
                measure.until(lambda: not any(waiting for waiting, _ in netlink.listeners()), 30)
                if not netlink.listeners():
                    raise NotAvailable("it ended by itself")
                self.drops = sum(drops for _, drops in netlink.listeners())
            finally:
                os.kill(pid, signal.SIGINT)
                _, self.cpu, self.peak = measure.reap(pid, orphans=False)
            err.seek(0)
            words = re.findall(rb"(\d+) (?:flow events have|events were lost in all)", err.read())
            self.told = sum(map(int, words))

    def _generate(self, rate: int, seconds: float) -> None:
        with tempfile.NamedTemporaryFile() as out, tempfile.TemporaryFile() as err:
            argv = measure.child_argv("generate", str(rate), str(seconds))
            code, _, _ = measure.reap(measure.spawn(argv, out.name, err.fileno()), orphans=False)
            said = out.read().split()
            if code or len(said) != 2:
                raise NotAvailable("the generator of events failed")
            self.events = int(said[0])
            self.rate = self.events / float(said[1])

    @property
    def accounts(self) -> str:
        """Return the losses, and the losses that the tool reports."""
        of = f"lost {self.drops:,} of {self.events:,} at {self.rate / 1000:.0f}k/s"
        return f"{of} and accounts for {self.told:,}"


def events(runner: Runner, seconds: float) -> Iterator[Row]:
    """Measure the CPU of an event at a modest rate, the highest lossless rate, and a flood."""
    runner.table.empty()
    with netlink.listen(0):
        netlink.populate(child.POOL)
    for what, more, target in ((f"at {STEADY:,}/s", "", 0.3), ("not wanted", UNWANTED, None)):
        row = Row(f"-E, CPU an event {what}", "events", target=target, unit="us")
        takes: dict[str, Take] = {
            name: lambda tool=tool, more=more: _cost(tool, seconds / 2, more)  # type: ignore[misc]
            for name, tool in runner.tools.items()
        }
        got = turns(takes, runner.rounds, row)
        row.theirs, row.ours = got.get("C"), got.get("ours")
        row.notes.append("start-up's CPU taken off")
        yield row
    row = Row("-E, events/s without loss", "events", bound=WANTED, unit="k/s", more_is_better=True)
    row.theirs = _ladder("C", runner, seconds, row)
    row.ours = _ladder("ours", runner, seconds, row)
    yield row
    row = Row("-E, flooded: accounted for", "events", bound=100.0, unit="%", more_is_better=True)
    takes = {
        name: lambda name=name: _flood(name, runner, seconds / 2, row)  # type: ignore[misc]
        for name in runner.tools
    }
    got = turns(takes, 1, row)
    row.theirs, row.ours = got.get("C"), got.get("ours")
    yield row
    runner.table.empty()


def _cost(tool: list[str], seconds: float, more: str) -> Sample:
    idle = Heard(tool, 0, 0, more)
    busy = Heard(tool, STEADY, seconds, more)
    received = max(1, busy.events - busy.drops)
    cpu = max(0.0, busy.cpu - idle.cpu)
    return Sample(cpu / received * 1e6, cpu, busy.peak)


def _ladder(name: str, runner: Runner, seconds: float, row: Row) -> Sample | None:
    best: Sample | None = None
    for thousands in LADDER:
        try:
            heard = Heard(runner.tools[name], thousands * 1000, seconds)
        except NotAvailable as error:
            row.notes.append(f"{name} not available: {error}")
            break
        if heard.drops:
            row.notes.append(f"{name} {heard.accounts}")
            break
        if best is None or heard.rate / 1000 > best.wall:
            best = Sample(heard.rate / 1000, heard.cpu, heard.peak)
        if heard.rate < 900 * thousands:
            busy = heard.cpu * heard.rate / heard.events
            said = f"{name} lost nothing, {busy:.0%} of a core with its start-up"
            said += "; the generator can no more"
            row.notes.append(said)
            row.floor = best
            break
    return best


def _flood(name: str, runner: Runner, seconds: float, row: Row) -> Sample:
    heard = Heard(runner.tools[name], LADDER[-1] * 1000, seconds, FLOODED)
    row.notes.append(f"{name} {heard.accounts}")
    return Sample(100 * heard.told / heard.events, heard.cpu, heard.peak)


assert child.POOL % child.BATCH == 0
