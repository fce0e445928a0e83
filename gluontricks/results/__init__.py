"""Run records, the registry that keeps them, and the tables made from both."""
