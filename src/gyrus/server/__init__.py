"""The operator's HTTP API: authorise, check, store the intent, tell what was seen.

Routes, their problems, streams and the serving itself belong here. Nothing here acts on a replica or on the
gateway: what is stored is carried out by control, which is woken by a hint.
"""
