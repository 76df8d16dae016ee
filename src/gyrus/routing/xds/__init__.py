"""The protocol between operator and Envoy: delta xDS over one ADS stream.

Only this package imports gRPC and Envoy's protobuf messages. It does not know the meaning of the resources.
"""
