"""What we intend and what we have seen.

Intent (records, behind the Store seam) is durable; observation (the board) lives in memory and is observed
anew after a restart. Server, control, routing and gate meet here and nowhere else. Deciding does not belong
here, nor does anything that talks to a replica or to the gateway.
"""
