"""The runner: from project.yml to steps whose outputs are up to date.

Knows commands, paths, hashes and processes; never what a model is. The pipeline library and this package
meet only through command lines and files. Importing it loads nothing: each module is asked for by name.
"""
