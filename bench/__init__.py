"""The measurements: ours beside Debian's conntrack, pyroute2 and the kernel, in one run.

    python -m bench [--max N] [--rounds N] [--only REGEX] [--svg FILE]

General layout: ``main`` runs the jobs of ``jobs``, ``special``, ``events`` and ``churn`` in turn
in a namespace of its own; ``measure`` starts processes and takes their time, CPU and memory;
``table`` fills and empties the kernel's table; ``netlink`` is the kernel floor, and what makes and
changes entries beside a tool; ``child`` is what runs inside measured processes; ``report`` and
``svg`` show the results.
"""
