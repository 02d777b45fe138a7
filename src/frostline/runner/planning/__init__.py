"""Which steps must run, in which order, and why. Decides, and does nothing.

    names.py      what a word means: a step, a glob, cells of a matrix
    graph.py      who needs whom
    plan.py       a decision for each step; causes.py and word_diff.py say why
    absent.py     what is not on disk, and counts as unchanged until it is needed
"""
