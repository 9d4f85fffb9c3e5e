"""The version, in one place."""

VERSION: str = "0.1.0"
