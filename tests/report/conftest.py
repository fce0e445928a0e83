"""Run records for tests: valid ones, of any recipe, without a run."""

from record_maker import finished, record

__all__ = ["finished", "record"]
