"""The gateway: what Envoy ought to do, told to it over xDS, and what it reports back.

``resources`` and ``snapshot`` turn the board's routes into Envoy's configuration, purely; ``xds`` carries it
over and keeps the books on what was acknowledged; ``envoy`` keeps the process alive; ``gateway`` joins them.
Deciding which endpoints an API has belongs to control, and holding a request back belongs to the gate.
"""
