"""CloudWatch: the log of a cluster, its metrics, its dashboard and its alarms.

Here belong the texts and limits of CloudWatch's calls, and the two tasks that make them. The archive of the
newest lines is :mod:`gyrus.log_archive`, and Prometheus's metrics are :mod:`gyrus.server.metrics`.
"""
