"""Keep a copy of the table, and print its size now and then: ``mirror.py [SECONDS]``.

It needs ``sysctl -w net.netfilter.nf_conntrack_events=1``: with 2, the default, the kernel does not
report the end of flows that began while nobody listened, and they would stay in the copy.
"""

import asyncio
import signal
import sys

from pyconntrack import AsyncConntrack, Event, Flow, Tuple


class Mirror:
    """A copy of the table, by original tuple and zone.

    Timeouts and counters are those of the last event: the kernel sends none when only they change.
    """

    def __init__(self) -> None:
        self.flows: dict[tuple[Tuple, int], Flow] = {}
        self.losses = 0

    def apply(self, event: Event) -> None:
        """Do to the copy what was done to the table."""
        flow = event.flow
        if flow is None or flow.orig is None:
            return
        key = flow.orig, flow.zone or 0
        if event.kind == "destroy":
            self.flows.pop(key, None)
        else:
            self.flows[key] = flow

    async def follow(self, ct: AsyncConntrack) -> None:
        """Follow the table until cancelled.

        With ``resync`` the stream begins with an event for each flow there is, and after a loss it
        reads the table again and sends what differs: no other care is needed.
        """
        async with ct.events(resync=True) as events:
            async for item in events:
                if isinstance(item, Event):
                    self.apply(item)
                else:
                    self.losses += 1


async def report(mirror: Mirror, seconds: float) -> None:
    """Print the size of the copy every ``seconds``."""
    while True:
        await asyncio.sleep(seconds)
        print(len(mirror.flows), flush=True)


async def main(seconds: float) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    mirror = Mirror()
    async with AsyncConntrack() as ct, asyncio.TaskGroup() as group:
        tasks = [group.create_task(mirror.follow(ct)), group.create_task(report(mirror, seconds))]
        await stop.wait()
        for task in tasks:
            task.cancel()  # each closes its socket; an error of one would have ended all
    print(f"stopped with {len(mirror.flows)} flows, {mirror.losses} losses")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
