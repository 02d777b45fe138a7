"""Starting, watching and recording steps.

    run.py        what it means to start, finish and record a step
    schedule.py   which one starts when; turns.py and budget.py decide it
    jobs.py       a step as a job; executors/ carry jobs out, processes.py ends them, signals.py ends us well
    locks.py      DVC's two locks
    logfiles.py   what steps print; records.py what they took
    refresh.py    the ledger, where nothing is to be made; takeover.py, where weasel made it; reporting.py, the report
"""
