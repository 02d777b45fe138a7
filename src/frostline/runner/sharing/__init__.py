"""Results that travel.

    checkout.py  what is on record, back in its place
    remotes.py   push and pull, by DVC; dvc_missing.py hears what it only warns of
    refill.py    puts back into the store what lies in place
    sweep.py     what may leave the store
"""
