"""Simulates a traffic trace in virtual time, with the platform's own code for queues, requeueing and scaling.

Reading traces, the published policies of other systems for comparison, the report and its chart belong here.
gyrus's own decisions do not: the simulator calls ``queueing`` and ``autoscaling`` as the platform does.
"""
