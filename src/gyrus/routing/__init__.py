"""The gateway: Envoy's configuration, its acknowledgements, and its measurements.

``resources`` and ``snapshot`` turn the board's routes into Envoy's configuration, purely. ``xds`` sends it to
the gateways, and ``nodes`` tracks what they use. ``ads`` joins these for any number of gateways, and
``local_gateway`` runs one gateway on this machine. Control decides which endpoints an API has, and the gate
holds requests.
"""
