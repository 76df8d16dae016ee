"""The number of replicas that an API should have: a pure decision over samples of its traffic.

Windows, forecast, schedule and bounds are here. Measuring and acting belong to ``control``. The package knows
no backend.
"""
