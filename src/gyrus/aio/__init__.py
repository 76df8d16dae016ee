"""Concurrency without a domain: clock, back-off, work queue, tasks, signals.

Modules here could serve any asyncio program. Code that knows about an API or a replica belongs elsewhere.
"""
