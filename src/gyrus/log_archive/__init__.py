"""The archive of replicas' output, which outlives their pods: taking batches of lines, keeping, reading.

What is specific to a kind of replica is not here: how its lines get here, and where else they are. SQL is in
:mod:`gyrus.state.sql`.
"""
