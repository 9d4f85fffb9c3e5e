"""The measurements: pyconntrack, Debian's conntrack, pyroute2 and the kernel, in one run.

    python -m bench [--max N] [--rounds N] [--only REGEX] [--svg FILE]

``main`` runs the jobs of ``jobs``, ``special``, ``events`` and ``churn`` in turn in a namespace of
its own; ``measure`` starts processes and measures their time, CPU and memory; ``table`` fills and
empties the kernel's table; ``netlink`` measures the kernel floor, and creates and changes entries
beside a tool; ``child`` runs inside measured processes; ``report`` and ``svg`` show the results.
"""
