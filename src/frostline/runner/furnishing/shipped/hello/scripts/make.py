"""Make up words of some invented languages: `make.py N_WORDS FOLDER LANGUAGES`."""

import json
import random
import sys
from pathlib import Path

ENDINGS = {"north": ("ar", "ir", "und"), "south": ("o", "a", "ino")}


def main() -> None:
    """Write one text for each language."""
    n_words, folder, languages = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    folder.mkdir(parents=True)
    for language in languages:
        draw = random.Random(f"{language} 0")
        endings = ENDINGS.get(language, ("e", "en"))
        words = [draw.choice("bdklmnrst") + draw.choice("aeiou") + draw.choice(endings) for _ in range(n_words)]
        (folder / f"{language}.txt").write_text("\n".join(words) + "\n", encoding="utf-8")


main()
