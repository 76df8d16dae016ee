"""The Store over SQL: SQLite by default, PostgreSQL where an operator is shared.

Tables, queries, migrations and what differs between databases belong here; what a write means is decided in
:mod:`gyrus.state.transitions`, and no SQL exists outside this package.
"""
