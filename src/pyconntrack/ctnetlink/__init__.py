"""The protocol of connection tracking over nfnetlink, derived from one schema; no I/O."""
