"""Reconciliation of replicas with intent: observe → plan (pure) → act → record, one API at a time.

Rollouts, replacement and removal are decided here, as functions of a Situation and ``now``. The autoscaler
decides the number of replicas, and a backend runs them.
"""
