"""The fork server of a revision: a process that has loaded the handler, and whose forks are warm replicas.

Run it as ``python -m gyrus.runtime.fork_server <config.json>``. It loads the handler, checks whether the
loaded process survives a fork, forks a supervisor on request, and lets that supervisor fork its workers. The
work of supervisors and workers after the fork is the same as in a cold replica and belongs in their modules.
The decision to start a replica belongs in ``gyrus.backends.local``. Linux only: elsewhere, libraries do not
survive forks.
"""
