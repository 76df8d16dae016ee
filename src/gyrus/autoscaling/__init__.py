"""How many replicas an API should have: a pure decision over what was seen of its traffic.

Windows, forecast, schedule and bounds are here. Measuring and acting belong to ``control``; a backend is not
known.
"""
