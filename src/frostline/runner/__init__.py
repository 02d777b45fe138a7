"""The runner: from project.yml to steps whose outputs are up to date.

Knows commands, paths, hashes and processes; never what a model is. The pipeline library and this package
meet only through command lines and files. Importing it loads nothing: each module is asked for by name.

    project/     what project.yml says, checked, and expanded into final steps
    digests/     the digests of files and folders
    meaning/     what text files say apart from comments, and which Python files a step imports
    keeping/     the ledger, the store, and how what is kept is brought back
    assets/      files that a project brings from elsewhere
    planning/    which steps must run, in which order, and why
    session.py   one project, opened for one command: all of the above, made when it is asked for
    running/     starting, watching and recording steps
    sharing/     checkout, DVC's remotes, and what may leave the store
    upkeep.py    what a run puts right around its plan
    proof/       the same again, and what is different
    furnishing/  templates, the README's section, the picture
    cli/         one file for each verb

A room knows those above it in this list, and none below.
"""
