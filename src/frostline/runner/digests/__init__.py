"""Digests of files and folders in DVC's form, and what spares reading them again.

    ignores.py      what does not count
    walking.py      one pass over a folder
    tree_memory.py  a folder's digests between two runs
    contents.py     reads and hashes, side by side
    hashing.py      what all others ask: a digest, from memory where nothing has changed
"""
