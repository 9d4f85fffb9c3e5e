"""Delete the UDP entries from a service to a pod that is gone: ``forget_pod.py SERVICE POD``."""

import sys

from pyconntrack import Conntrack, Filter, Flow


def forget_pod(ct: Conntrack, service: str, pod: str) -> list[Flow]:
    """Delete the entries from a service address to a pod; return them."""
    return ct.delete_matching(Filter(proto="udp", orig_dst=service, reply_src=pod))


if __name__ == "__main__":
    with Conntrack() as ct:
        for flow in forget_pod(ct, sys.argv[1], sys.argv[2]):
            print("deleted", flow)
