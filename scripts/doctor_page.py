"""Generate the man page conntrack-doctor(8): its options and checks stand in the package."""

from __future__ import annotations

from pyconntrack.doctor.checks import CHECKS
from pyconntrack.doctor.command import OPTIONS
from pyconntrack.version import VERSION

_PAGE = """\
.\\" SPDX-License-Identifier: Apache-2.0
.\\" Made by `make generate'.
.TH CONNTRACK-DOCTOR 8 2026-11-25 "pyconntrack {version}" "System Administration"
.SH NAME
conntrack-doctor \\- find what is wrong with connection tracking, who causes it, and what to do
.SH SYNOPSIS
.B conntrack doctor
[\\fIOPTION\\fP...] [\\fICHECK\\fP...]
.SH DESCRIPTION
Looks at the connection tracking of a network namespace for some seconds, and says what is wrong
with it: the cause, not only the number. It reads the counters of each processor twice, the
settings, the sockets that listen to events, the rules of
.BR nft (8)
that translate sources, and at last the table itself.
.PP
Each finding is a line with its severity, the check that found it, and what was seen; then, where
there is something to be done, one line of advice. No advice is carried out. If \\fICHECK\\fPs are
named, only those are made.
.PP
The severities are
.BR ok ,
.B WARN
(see to it),
.B CRIT
(connections are refused, or will be soon) and
.B unknown
(the check could not look, and the line says why). What could not be read is never reported as ok.
.PP
Nothing is changed, with one exception: the kernel removes entries that have expired when they are
read, which it would do within a minute or so by itself. Therefore all counts are read before the
table.
.SH OPTIONS
{options}.SH CHECKS
Each line is what the check says where all is well.
{checks}.SH PORTS OF NAT
A public address has 64,512 ports for each destination, port and protocol, and fewer for clients
whose own port is below 1024, unless a rule gives a range. In large ranges the kernel's search fails
before all are taken, from 88 % on; a range of 128 ports or fewer is searched whole. Connections in
TIME_WAIT give way to new ones and do not count. Of rules that
.BR iptables-nft (8)
made, nft shows only that they are there, and of legacy ones nothing: the finding then says that the
capacity is assumed, and only failures that were counted make it critical.
.SH FILES OF SNAPSHOTS
.B \\-\\-save
writes all that was seen, in JSON, with the addresses of all connections; the file is new and only
its owner may read it. With
.B \\-\\-anonymize
each address is replaced by another, the same one everywhere, so that addresses of one network stay
together; the names of the host and of the namespace are left out. Ports, marks of rules, and the
names of processes and helpers stay.
.SH EXIT STATUS
Without
.BR \\-\\-check :
0 if the look succeeded, whatever was found; 2 for a wrong command line or a file that cannot be
used; 1 for anything else.
With it: 0 ok, 1 warning, 2 critical, 3 unknown, as
.B monitoring plugins
have it; the worst finding decides, and unknown stands between ok and warning.
.SH EXAMPLES
.TP
.B conntrack doctor \\-\\-for 10s
what is wrong here?
.TP
.B conntrack doctor \\-\\-netns blue nat\\-ports insert\\-failed
are the ports of NAT used up in the namespace blue?
.TP
.B conntrack doctor \\-\\-save seen \\-\\-anonymize
a file for a report of a fault; \\fBconntrack doctor \\-\\-load seen\\fP examines it.
.TP
.B conntrack doctor \\-\\-check
for Icinga, Nagios and others.
.SH "SEE ALSO"
.BR conntrack (8),
.BR nft (8)
"""


def text() -> str:
    """Return the page."""
    options = []
    for option in OPTIONS:
        spellings = ", ".join(map(_bold, option.spellings))
        argument = f" \\fI{option.arg}\\fP" if option.arg else ""
        options.append(f".TP\n{spellings}{argument}\n{_plain(option.help)}\n")
    checks = [f".TP\n{_bold(check.code)}\n{_plain(check.title)}\n" for check in CHECKS]
    return _PAGE.format(version=VERSION, options="".join(options), checks="".join(checks))


def _bold(word: str) -> str:
    return f"\\fB{_plain(word)}\\fP"


def _plain(words: str) -> str:
    return words.replace("-", "\\-")
