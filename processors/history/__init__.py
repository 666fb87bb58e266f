"""The store: readings, intervals, days and verdicts, append-only, with revisions and as-of."""
