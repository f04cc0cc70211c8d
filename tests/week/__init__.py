"""A week of the service under a simulated clock: `python -m tests.week`."""
