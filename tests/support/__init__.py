"""Helpers shared by test files: paths, namespaces, traffic, entries, and both conntrack tools."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CASES = ROOT / "tests/cases"
