"""Benchmarks beside the peers of performance goals P1 to P12: ratios, medians, one JSON line a case."""
