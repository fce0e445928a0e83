"""Training tricks for image classifiers, from the data on disk to the table in the paper."""

__version__ = "0.1.0"
