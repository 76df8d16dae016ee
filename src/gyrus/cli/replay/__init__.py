"""What ``gyrus replay`` is made of: a trace as requests, the API watched meanwhile, and both as a report.

Reading the trace and the report's shape are the simulator's, sending is the client's; what lies between them
belongs here.
"""
