"""Follow one connection until it ends: ``follow.py SOURCE SOURCE_PORT``."""

import sys
from collections.abc import Iterator

from pyconntrack import Conntrack, EventsLost, Filter


def follow(ct: Conntrack, connection: Filter) -> Iterator[str]:
    """Yield the events of a connection, until the kernel deletes it."""
    with ct.events(filter=connection) as events:
        for event in events:
            if isinstance(event, EventsLost):
                yield f"({event})"
                continue
            state = event.flow.state if event.flow else None
            yield f"{event.kind} {state or ''}".rstrip()
            if event.kind == "destroy":
                return


if __name__ == "__main__":
    one = Filter(proto="tcp", orig_src=sys.argv[1], orig_sport=int(sys.argv[2]))
    with Conntrack() as ct:
        for step in follow(ct, one):
            print(step, flush=True)
