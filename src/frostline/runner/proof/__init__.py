"""The same again, and what is different.

    verify.py         a step once more, in a copy (scratch.py), compared by bytes (differences.py)
    differing.py      the project against a git revision
    metrics_fetch.py  that revision's metrics, where they are only on a remote
"""
