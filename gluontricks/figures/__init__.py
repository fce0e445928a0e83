"""Pictures of papers and of runs, each with its data beside it as CSV."""
