"""Open-loop load: each request is sent at its own time, even if earlier ones are unanswered.

Connections, sending and the result of each request belong here. The source of the times, the report on the
results and the display of a run do not.
"""
