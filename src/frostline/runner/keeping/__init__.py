"""What is on record and in the store, where it lies, and how it is brought back without losing what is a user's.

    places.py    the names of all paths; setup.py makes those that a first run needs
    ledger.py    what each step saw and made: lockfile.py (dvc.lock), entries.py, and context.py for what DVC can't say
    dvcfile.py   dvc.yaml, kept in step with it; yaml_out.py writes as DVC does, yaml_edit.py leaves others' text alone
    store.py     contents, and results by what they were made from; restore.py brings them back
    clearing.py  makes way for outputs
    gitfiles.py  what git knows, and should ignore; git_place.py, whether there is a git
"""
