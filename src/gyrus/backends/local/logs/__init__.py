"""Reading what replicas have logged: files that grow and rotate, merged in time order.

Writing them is the supervisor's. Nothing here knows why a replica exists.
"""
