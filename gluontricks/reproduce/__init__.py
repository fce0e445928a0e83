"""Reproducing a table: which runs it needs, who runs which, and running them."""
