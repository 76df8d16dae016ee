"""The parts of ``gyrus replay``: a trace as requests, samples of the API meanwhile, and a report on both.

The simulator reads the trace and defines the report; the client sends the requests. The steps in between
belong here.
"""
