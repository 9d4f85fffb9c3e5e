"""Log each flow that ends as a line of JSON, in rotated files: ``flow_log.py FILE [BYTES]``.

Switch counters and times on, and each line says how much was transferred, and when it began and
ended: ``sysctl -w net.netfilter.nf_conntrack_acct=1 net.netfilter.nf_conntrack_timestamp=1``.
"""

import json
import signal
import sys
from contextlib import closing
from pathlib import Path

from pyconntrack import Conntrack, Event, EventsLost

KEPT = 5


class RotatingFile:
    """Lines in ``path``; one of ``size`` bytes becomes ``path.1``, that ``path.2``, and so on."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self.file = path.open("ab")

    def write(self, line: str) -> None:
        """Append a line, whole, to one file or the next."""
        data = line.encode() + b"\n"
        if self.file.tell() and self.file.tell() + len(data) > self.size:
            self.file.close()
            for number in range(KEPT - 1, 0, -1):
                older = self.path.with_name(f"{self.path.name}.{number}")
                if older.exists():
                    older.rename(self.path.with_name(f"{self.path.name}.{number + 1}"))
            self.path.rename(self.path.with_name(f"{self.path.name}.1"))
            self.file = self.path.open("ab")
        self.file.write(data)
        self.file.flush()

    def close(self) -> None:
        """Close the current file."""
        self.file.close()


def line_of(item: Event | EventsLost) -> str:
    """Return the line of an item of the stream; a gap in the log is a line of the log."""
    if isinstance(item, EventsLost):
        return json.dumps({"lost": item.count, "exact": item.exact})
    return json.dumps(item.to_dict())


def main() -> None:
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000_000
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopping.append(number))

    with (
        closing(RotatingFile(Path(sys.argv[1]), size)) as log,
        Conntrack() as ct,
        ct.events("destroy") as events,
    ):
        while not stopping:
            item = events.read(timeout=0.5)
            if item is not None:
                log.write(line_of(item))
        events.stop()  # end the subscription ...
        for item in events:  # ... and write what had arrived, and the last losses
            log.write(line_of(item))


if __name__ == "__main__":
    main()
