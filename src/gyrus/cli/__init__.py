"""The ``gyrus`` command: what you type and what you see.

Arguments, progress, tables and error blocks belong here, with one module per command in
:mod:`gyrus.cli.commands`. :mod:`gyrus.client` makes the calls to the operator. Heavy modules are imported
only when a command needs them.
"""
