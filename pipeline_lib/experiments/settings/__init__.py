"""Every key of a config, declared once: a field of a frozen dataclass with its type, rule, default, unit and meaning.

The JSON schema, the key table in `docs/config.md`, completion of defaults and what is read follow from these fields.
"""
