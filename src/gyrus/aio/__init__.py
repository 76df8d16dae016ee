"""Concurrency and I/O without a domain: clock, back-off, work queue, tasks, signals, connections, HTTP.

Modules here could serve any asyncio program. Code that knows about an API or a replica belongs elsewhere.
"""
