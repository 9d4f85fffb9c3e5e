"""Let a server connect back to its client: ``expectations.py PORT``.

A helper in user space reads in a control connection which port the client offers, and tells the
kernel to expect the server there.  The kernel's helpers (FTP, SIP...) do the same.
"""

import sys

from pyconntrack import Conntrack, Expect, Filter, Tuple


def expect_back(ct: Conntrack, control: Tuple, port: int) -> Expect:
    """Expect one connection from the server of ``control`` to ``port`` of its client.

    The flow of ``control`` must have a helper, and one of the kernel's decides for how long.
    """
    exact = "255.255.255.255"
    expect = Expect(
        tuple=Tuple(control.dst, control.src, "tcp", 0, port),
        mask=Tuple(exact, exact, "tcp", 0, 0xFFFF),  # from any port, to exactly this one
        master=control,
        timeout=300,
    )
    ct.create_expectation(expect)
    return ct.get_expectation(expect)


if __name__ == "__main__":
    with Conntrack() as ct:
        for flow in ct.dump(Filter(proto="tcp", orig_dport=21)):
            if flow.orig is not None and flow.helper is not None:
                expect_back(ct, flow.orig, int(sys.argv[1]))
        for expect in ct.expectations():
            print(f"{expect.tuple} within {expect.timeout} s")
