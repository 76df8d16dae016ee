"""The user's class: finding it, what its methods take, what it may answer, how it is described.

Everything here happens within one request or before the first. When and where a method runs (slots, threads,
time) does not belong here.
"""
