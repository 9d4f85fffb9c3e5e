"""The command ``conntrack``: grammar as data, parsing, and running of a parsed command."""
