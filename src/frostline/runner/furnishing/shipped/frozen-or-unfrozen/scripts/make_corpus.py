"""A tagged corpus of an invented language: `make_corpus.py N_SENTENCES FOLDER`.

A word's tag shows in its ending, in what stands before it, or in both: `-ak` is a noun after an article and a verb
elsewhere. The same number gives the same files.
"""

import random
import sys
from itertools import product
from pathlib import Path

STEMS = ["".join(parts) for parts in product("bdglmnrst", "aeiou", "lnrst")]
ENDINGS = {"N": ("ak", "o", "em"), "V": ("ak", "un", "it"), "A": ("ib", "em"), "ADV": ("und", "ib")}
ARTICLES = ("ta", "zo")
Tagged = list[tuple[str, str]]


def word(draw: random.Random, tag: str, stems: list[str]) -> tuple[str, str]:
    """One word with its tag; some stems are frequent, most are rare."""
    stem = stems[min(int(draw.expovariate(6 / len(stems))), len(stems) - 1)]
    return stem + draw.choice(ENDINGS[tag]), tag


def noun_phrase(draw: random.Random, stems: list[str]) -> Tagged:
    """An article, perhaps an adjective, a noun."""
    found = [(draw.choice(ARTICLES), "D")]
    if draw.random() < 0.4:
        found.append(word(draw, "A", stems))
    return [*found, word(draw, "N", stems)]


def sentence(draw: random.Random, stems: list[str]) -> Tagged:
    """Verb first, as in many languages; then who, perhaps whom, perhaps how."""
    found = [word(draw, "V", stems), *noun_phrase(draw, stems)]
    if draw.random() < 0.6:
        found += noun_phrase(draw, stems)
    if draw.random() < 0.4:
        found.append(word(draw, "ADV", stems))
    return [*found, (".", "P")]


def conllu(sentences: list[Tagged], name: str) -> str:
    """CoNLL-U, eight sentences to a document."""
    lines = []
    for number, tagged in enumerate(sentences):
        if number % 8 == 0:
            lines.append(f"# newdoc id = {name}-{number // 8}")
        lines += [f"# sent_id = {name}-{number}", f"# text = {' '.join(form for form, _ in tagged)}"]
        lines += [f"{index}\t{form}\t_\t_\t{tag}\t_\t_\t_\t_\t_" for index, (form, tag) in enumerate(tagged, 1)]
        lines.append("")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the three parts."""
    n_sentences, folder = int(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    stems = draw.sample(STEMS, len(STEMS))
    for part, share in (("train", 0.7), ("dev", 0.15), ("test", 0.15)):
        sentences = [sentence(draw, stems) for _ in range(round(n_sentences * share))]
        (folder / f"{part}.conllu").write_text(conllu(sentences, part), encoding="utf-8")


main()
