"""The order of requests as bookkeeping: which one is next, which wait, which are requeued. No time or I/O.

The runtime's queues, the gate and the simulator share this package, so it imports nothing. They define what a
request is and how it is answered.
"""
