"""Print how the UDP flows of this namespace are seen by their servers."""

from pyconntrack import Conntrack, Filter

with Conntrack() as ct:
    for flow in ct.dump(Filter(proto="udp")):
        print(flow.orig_src, flow.orig_sport, "is seen as", flow.reply_dst, flow.reply_dport)
