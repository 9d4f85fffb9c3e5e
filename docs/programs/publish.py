"""Create a translated flow: ``publish.py CLIENT:PORT PUBLIC:PORT SERVER:PORT``.

So that a client reaches a server under the server's public address, as a rule for destination NAT
would have it; a load balancer that decides elsewhere can enter its decisions like this.
"""

import sys

from pyconntrack import Conntrack, ExistsError, Flow, Tuple


def publish(ct: Conntrack, client: str, public: str, server: str) -> Flow:
    """Create the entry of a TCP flow from ``client`` to ``public`` that ``server`` answers.

    Each is "ADDRESS:PORT".  Return the entry as the kernel has it.
    """
    source, _, sport = client.rpartition(":")
    target, _, dport = public.rpartition(":")
    flow = Flow(Tuple(source, target, "tcp", int(sport), int(dport)), timeout=60)
    ct.create(flow, dst_nat=server)
    return ct.get(flow)


def main() -> int:
    with Conntrack() as ct:
        try:
            flow = publish(ct, sys.argv[1], sys.argv[2], sys.argv[3])
        except ExistsError:
            print("there is such a flow already")
            return 1
    print(f"{flow.orig} is answered by {flow.reply_src}:{flow.reply_sport}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
