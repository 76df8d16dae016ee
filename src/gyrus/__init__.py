"""gyrus deploys machine-learning models as production APIs."""

__version__ = "0.1.0"
