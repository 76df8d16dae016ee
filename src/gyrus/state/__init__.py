"""Intent and observation.

Intent (records, behind the Store seam) is durable. Observation (the board) lives in memory, and a new
operator observes again after a restart. Server, control, routing and gate meet here and nowhere else.
Decisions do not belong here, nor does anything that connects to a replica or to the gateway.
"""
