"""The commands of ``gyrus cluster`` for clusters on AWS that a cluster.yaml describes."""
