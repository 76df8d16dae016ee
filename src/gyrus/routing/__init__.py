"""The gateway: Envoy's configuration, what Envoys acknowledge of it, and what they measure.

``resources`` and ``snapshot`` turn the board's routes into Envoy's configuration, purely. ``xds`` carries it
to the gateways, and ``nodes`` knows what they use. ``ads`` joins these for any number of gateways;
``local_gateway`` runs one of them on this machine. Deciding which endpoints an API has belongs to control,
and holding a request back belongs to the gate."""
