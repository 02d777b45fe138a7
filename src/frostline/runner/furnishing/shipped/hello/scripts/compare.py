"""Half the sum of the differences between letter fractions, of each pair: `compare.py COUNTS.json… OUTPUT.json`."""

import json
import sys
from itertools import combinations
from pathlib import Path


def main() -> None:
    """Compare, and write the metrics."""
    *sources, target = map(Path, sys.argv[1:])
    counts = {source.stem: json.loads(source.read_text(encoding="utf-8")) for source in sorted(sources)}
    distances = {}
    for one, other in combinations(counts, 2):
        letters = counts[one].keys() | counts[other].keys()
        apart = sum(abs(counts[one].get(letter, 0) - counts[other].get(letter, 0)) for letter in letters) / 2
        distances[f"{one}-{other}"] = round(apart, 4)
    target.write_text(json.dumps(distances, indent=2) + "\n", encoding="utf-8")


main()
