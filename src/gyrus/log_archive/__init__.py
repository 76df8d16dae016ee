"""The archive of replicas' output, which outlives their pods: taking batches of lines, keeping, reading.

What is specific to a kind of replica is not here: who sends the lines, and what else has them. SQL is in
:mod:`gyrus.state.sql`.
"""
