"""What a user asked for: the YAML's meaning, its defaults and its faults. Pure.

Parsing, checking and describing a specification belong here; carrying it out does not.
"""
