"""A project's folder as one archive: the files in it, its exact bytes, and the store of archives.

Client and operator both use this package, so that a digest means the same to both. Sending an archive and
interpreting its files do not belong here.
"""
