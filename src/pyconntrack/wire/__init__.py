"""The netlink wire: constants, message frames and attributes, and nothing that knows conntrack."""
