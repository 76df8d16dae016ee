"""Concurrency without a domain: clock, back-off, keyed queue, task guard, hints.

What belongs here could serve any asyncio program; what knows an API or a replica does not.
"""
