"""Python environments of handlers: what a project needs, the content key of that, and the builds by uv.

An environment is a folder that never changes once it is complete. Nothing here knows a replica, a backend, or
where on a machine the folders are.
"""
