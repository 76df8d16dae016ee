"""The ``gyrus`` command: what people type and what they are shown.

Arguments, progress, tables and error blocks belong here, one file per command in :mod:`gyrus.cli.commands`.
What a command does to an operator is done by :mod:`gyrus.client`. Nothing heavy is imported before a command
needs it.
"""
