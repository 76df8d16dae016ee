"""The protocol between operator and Envoy: delta xDS over one ADS stream.

gRPC and Envoy's protobuf messages live here and nowhere else. What the resources mean is not known here.
"""
