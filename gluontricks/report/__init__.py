"""The report: one self-contained page with the account, every table, curves and provenance."""
