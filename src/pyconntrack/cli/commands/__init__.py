"""One module a verb, imported for it alone."""
