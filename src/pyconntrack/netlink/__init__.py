"""AF_NETLINK of the family NETLINK_NETFILTER: framing, conversations, sockets; no conntrack."""
