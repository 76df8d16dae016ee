"""The operator's HTTP API: authorise, check, store the intent, report the observed state.

Routes, their problems, streams and the serving itself belong here. No code here acts on a replica or on the
gateway: control carries out the stored intent, and a signal notifies it.
"""
