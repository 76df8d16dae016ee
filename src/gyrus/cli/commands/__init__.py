"""One module per command, each with a click command named ``command``; the list is in ``gyrus.cli.table``."""
