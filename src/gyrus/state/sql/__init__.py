"""The Store over SQL: SQLite by default, PostgreSQL where an operator is shared.

Tables, queries, migrations and the differences between databases belong here. The meaning of each write is
defined in :mod:`gyrus.state.transitions`. No SQL exists outside this package.
"""
