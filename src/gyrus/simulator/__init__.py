"""Rehearses a traffic trace in virtual time, with the very code that queues, moves and scales for real.

Reading traces, the other systems' published policies for comparison, the report and its picture are here
too. The code that decides for gyrus is not: it is ``queueing`` and ``autoscaling``, called as the platform
calls it.
"""
