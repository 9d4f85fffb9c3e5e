"""The version of this package, and the one of conntrack-tools whose behaviour the command keeps."""

VERSION: str = "0.2.0"
CONNTRACK_TOOLS: str = "1.4.9"
