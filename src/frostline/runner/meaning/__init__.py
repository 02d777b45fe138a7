"""What text files say apart from comments and layout, and which files of the project a step's Python code is made of.

    source_values.py  what is known of a text, as values
    python_source.py  Python: its imports, and its code without docstrings
    equivalence.py    the same for .cfg, YAML, TOML; and when two texts mean the same
    sources.py        both, remembered for each content
    entry_points.py   which files a command line starts
    closure.py        what those import, however deep
"""
