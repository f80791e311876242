"""Measurements against the alternatives; ``python -m benchmarks`` runs them.

Each module other than the harness is one benchmark and has a function ``comparisons``
that returns what to measure.
"""
