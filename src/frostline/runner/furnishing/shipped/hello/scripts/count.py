"""Count the letters of a text, as fractions: `count.py TEXT OUTPUT.json`."""

import json
import sys
from collections import Counter
from pathlib import Path


def main() -> None:
    """Count, and write."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    letters = Counter(source.read_text(encoding="utf-8").replace("\n", ""))
    total = sum(letters.values())
    fractions = {letter: round(n / total, 6) for letter, n in sorted(letters.items())}
    target.write_text(json.dumps(fractions, indent=2) + "\n", encoding="utf-8")


main()
