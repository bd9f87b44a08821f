"""Facts of a guest: one file per subject, each a question and its parser."""
