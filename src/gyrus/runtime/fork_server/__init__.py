"""The parked process of a revision: it has loaded the handler, waits, and replicas are forks of it.

``python -m gyrus.runtime.fork_server <config.json>``. Loading, finding out whether what was loaded survives a
fork, forking a supervisor on an order, and being that supervisor's way to start workers belong here. What
supervisor and worker do from then on is theirs, as in a replica that is started anew; who orders a replica,
and when, is ``gyrus.backends.local``'s. Linux alone: elsewhere libraries do not survive forks.
"""
