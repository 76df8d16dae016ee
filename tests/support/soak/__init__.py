"""Random load with random faults, and a verdict on what came of it.

``scenario`` makes up what is to happen, from a seed alone; ``soak`` lets it happen to a real platform;
``verdict`` explains each request that was not answered, or fails to.
"""
