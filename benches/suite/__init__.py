"""The suites of `benches/run.py` and what they share."""
