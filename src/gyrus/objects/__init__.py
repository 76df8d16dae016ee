"""Stores of objects: named bytes in a folder, in memory, or in S3 and what speaks like it.

One protocol, its implementations, and its errors, in the users' words. obstore is imported here alone, when
an S3 store is opened. What the objects are for (packages, models, logs) does not belong here.
"""
