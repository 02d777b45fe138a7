"""Results that travel.

    checkout.py  what is on record, back in its place
    remotes.py   push and pull, by DVC
    sweep.py     what may leave the store
"""
