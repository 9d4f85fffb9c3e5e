"""One module for each verb, imported only when it runs."""
