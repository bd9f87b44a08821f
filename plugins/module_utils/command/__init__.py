"""The command line ``muster``."""
