"""Starting, watching and recording steps.

    run.py        what it means to start, finish and record a step
    schedule.py   which one starts when; turns.py and budget.py decide it
    jobs.py       a step as a job; executors/ carry jobs out, processes.py ends them, signals.py ends us well
    locks.py      DVC's two locks
    origins.py    what a try is made from, so that its checkpoint reaches no other
    refusals.py   what can't be kept is refused; failures.py says what went wrong; trespass.py, who wrote into another's
    tracking.py   outputs that git tracks; leftovers.py, what killed processes leave
    logfiles.py   what steps print; records.py what they took
    refresh.py    the ledger, where nothing is to be made; takeover.py, where weasel made it; reporting.py, the report
"""
