"""What project.yml says: read, checked, and expanded into final steps. Text in, values out.

    keys.py         every key, as a table; schema.py makes the editors' schema of it
    yaml_places.py  YAML with the line and column of everything
    parse.py        the file as a Spec (spec.py), all its faults (faults.py) told at once
    naming.py       which names are none, and which the ledger could not tell apart
    expand.py       Spec to Steps: references.py, overrides.py, matrix.py and patterns.py do the parts
    fetch_step.py   the step that nobody writes down
    weasel.py       what weasel's project.lock says
"""
