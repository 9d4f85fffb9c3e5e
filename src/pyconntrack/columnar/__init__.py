"""Batches of messages as numpy arrays; the only package that imports numpy."""
