"""Makes what runs agree with what is wanted: observe → plan (pure) → act → record, one API at a time.

Rollouts, replacement and removal are decided here, as functions of a Situation and ``now``. How many replicas
are wanted is the autoscaler's word; how to run one is a backend's.
"""
