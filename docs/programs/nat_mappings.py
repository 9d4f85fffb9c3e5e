"""Print each connection whose source is translated, as it begins."""

from collections.abc import Iterator

from pyconntrack import Conntrack, EventsLost


def nat_mappings(ct: Conntrack) -> Iterator[str]:
    """Yield a line for each new connection with source NAT."""
    with ct.events("new") as events:
        for event in events:
            if isinstance(event, EventsLost):
                yield f"({event})"
            elif (flow := event.flow) is not None and flow.is_src_nat:
                yield (
                    f"{flow.proto} {flow.orig_src}:{flow.orig_sport} "
                    f"is seen as {flow.reply_dst}:{flow.reply_dport}"
                )


if __name__ == "__main__":
    with Conntrack() as ct:
        for line in nat_mappings(ct):
            print(line, flush=True)
