"""A project's folder as one archive: what belongs in it, its exact bytes, and where archives are kept.

Client and operator both use it, so that both mean the same by a digest. Sending an archive does not belong
here, nor does what the files in it mean.
"""
