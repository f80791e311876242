"""Fuzz targets: everything of the SDK that takes bytes or text from outside.

``python -m fuzz`` runs them, coverage-guided by atheris, for a bounded time from the seeds
in ``corpus/``; ``tests/encoding/test_fuzz_targets.py`` runs them over the seeds alone.
"""
