"""The user's class: how it is loaded, the arguments and answers of its methods, and its description.

Everything here happens within one request or before the first one. The choice of when and where a method runs
(slots, threads, deadlines) does not belong here.
"""
