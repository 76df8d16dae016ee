"""Who is next, who waits, who is given back: the order of requests, as bookkeeping. No time, threads or I/O.

The runtime's queues, the gate and the simulator share it, so it imports nothing. What a request is, and how
it is answered, belongs to them.
"""
