"""What a worker tells of itself: status and log lines for the supervisor, metrics, the request it is at.

Deciding anything by what is told does not belong here.
"""
