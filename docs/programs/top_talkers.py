"""Print the ten addresses that transferred most, counting both directions of what they began."""

from collections import Counter

from pyconntrack import Conntrack


def talkers(ct: Conntrack) -> Counter[str]:
    """Return the bytes of both directions by the address that began the connection."""
    total: Counter[str] = Counter()
    for flow in ct.dump(on_interrupt="retry"):
        total[flow.orig_src or "?"] += (flow.orig_bytes or 0) + (flow.reply_bytes or 0)
    return total


def main() -> None:
    with Conntrack() as ct:
        for address, size in talkers(ct).most_common(10):
            print(f"{size:>15,}  {address}")


if __name__ == "__main__":
    main()
