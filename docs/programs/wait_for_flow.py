"""Wait until a flow matches an expression: ``wait_for_flow.py EXPRESSION [SECONDS]``."""

import sys
import time

from pyconntrack import Conntrack, EventsLost, Filter, Flow


def present(ct: Conntrack, wanted: Filter) -> Flow | None:
    """Return a flow of the table that matches, None if none does."""
    return next(ct.dump(wanted, on_interrupt="accept"), None)


def wait_for_flow(ct: Conntrack, wanted: Filter, seconds: float) -> Flow | None:
    """Return a flow that matches, now or within ``seconds``; None if none does."""
    deadline = time.monotonic() + seconds
    with ct.events(["new", "update"], wanted) as events:
        # Listen first, then look: nothing can happen in between.
        found = present(ct, wanted)
        while found is None and (left := deadline - time.monotonic()) > 0:
            item = events.read(left)
            if isinstance(item, EventsLost):
                found = present(ct, wanted)  # it may be among what was lost
            elif item is not None:
                found = item.flow
    return found


def main() -> int:
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    with Conntrack() as ct:
        flow = wait_for_flow(ct, Filter.where(sys.argv[1]), seconds)
    print(flow or "none came")
    return 0 if flow else 1


if __name__ == "__main__":
    sys.exit(main())
