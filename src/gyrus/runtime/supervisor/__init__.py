"""The first process of every replica: it runs the other ones, collects their output and reports their status.

Run it as ``python -m gyrus.runtime.supervisor <config.json>``. Every replica has one, so it imports only the
standard library and the contract, runs in one thread without asyncio, and starts in a few tens of
milliseconds. Serving of requests does not belong here but in the worker. Knowledge of APIs, rollouts or other
replicas does not belong here either.
"""
