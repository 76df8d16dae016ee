"""The state of a cluster on AWS, as ``gyrus cluster info`` and ``health`` show it. Nothing here changes it.

``observe`` reads AWS and Kubernetes, each part for itself, so that what is missing hides nothing else. The
rest is pure: ``node_status`` joins instances and nodes, ``checks`` judges each part, ``present_prices``
prices what runs, ``view`` is the JSON.
"""
