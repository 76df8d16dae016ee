"""Open-loop load: each request is sent at its own time, whatever has become of those before it.

Connections, the sending and what became of each request belong here. Where the times come from, what is said
of the outcomes and how a run is shown do not.
"""
