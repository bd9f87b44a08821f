"""Kinds of settings: one file each, `plan(wanted, host, context) -> Part`."""
