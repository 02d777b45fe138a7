"""The default tokenizer: by example, by property, and against EWT's raw text."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.config import registry
from frostline.corpora import tokenizer as module
from frostline.corpora.converters import conllu_lines, read_conllu
from frostline.corpora.tokenizer import Tokenizer, make_tokenizer
from frostline.errors import ConfigError, ModelFileError
from frostline.tokens import Doc

# Surface tokens by spaces, words of one token by "+".
EXAMPLES = [
    ("Hello, world!", "Hello , world !"),
    ("I can't, don't and won't.", "I ca+n't , do+n't and wo+n't ."),
    ("I'm, you're, he's, we'd, they'll, I've", "I+'m , you+'re , he+'s , we+'d , they+'ll , I+'ve"),
    ("She should've gone", "She should+'ve gone"),
    ("DON’T", "DO+N’T"),
    ("dont cant cannot gonna wanna gotta", "do+nt ca+nt can+not gon+na wan+na got+ta"),
    ("Bush's and the students' books", "Bush+'s and the students+' books"),
    ("the 'best players' here", "the ' best players+' here"),
    ("'quoted words'", "' quoted words+'"),
    ("Mr. Smith of Acme Inc. met Dr. No.", "Mr. Smith of Acme Inc. met Dr. No ."),
    ("In the U.S. today, e.g. at 5 p.m. or so.", "In the U.S. today , e.g. at 5 p.m. or so ."),
    ("It ended at 5 p.m. Then we left.", "It ended at 5 p.m . Then we left ."),
    ("etc. and so on, etc.", "etc. and so on , etc ."),
    ("a 15-year plan, state-of-the-art", "a 15 - year plan , state - of - the - art"),
    ("an e-mail, anti-war and non-profit", "an e-mail , anti-war and non-profit"),
    ("his/her and/or", "his / her and / or"),
    ("$50.50 (50%) €9 £3", "$ 50.50 ( 50 % ) € 9 £ 3"),
    ("1,000,000 on 11/28/2000 at 5:30pm", "1,000,000 on 11/28/2000 at 5:30 pm"),
    ("the 1990s, 23rd, 35mm", "the 1990s , 23rd , 35 mm"),
    ("Call 713-853-3989 now", "Call 713-853-3989 now"),
    ("Wait... what?! No!!! Yes--really", "Wait ... what ?! No !!! Yes -- really"),
    ("see http://www.a.com/b?c=d&e=f, ok", "see http://www.a.com/b?c=d&e=f , ok"),
    ("(www.example.org).", "( www.example.org ) ."),
    ("mail me@example.com.", "mail me@example.com ."),
    ("open notes.doc or google.com", "open notes.doc or google.com"),
    ("great :) or :-( or <3 or ^_^", "great :) or :-( or <3 or ^_^"),
    ("nice😂 @you #win #1", "nice 😂 @you #win # 1"),
    ("the end.The next", "the end . The next"),
    ("P&L, AT&T", "P&L , AT&T"),
    ("\"Yes,\" she said.", "\" Yes , \" she said ."),
    ("“Yes”", "“ Yes ”"),
    ("=====", "====="),
    ("o'clock", "o'clock"),
    ("alot of it", "a lot of it"),
]


def surface(doc: Doc) -> str:
    tokens: list[str] = []
    before = None
    for word, start, end in zip(doc.words, doc.starts.tolist(), doc.ends.tolist(), strict=True):
        if (start, end) == before:
            tokens[-1] += f"+{word}"
        else:
            tokens.append(word or "")
        before = (start, end)
    return " ".join(tokens)


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_text_as_people_type_it(text: str, expected: str) -> None:
    assert surface(Tokenizer()(text)) == expected


TEXTS = st.text() | st.text(alphabet="aI'’.,-:/@()! \n1é😂#*=", max_size=40)


@given(TEXTS)
def test_every_visible_character_is_in_one_token_and_words_make_up_their_tokens(text: str) -> None:
    doc = Tokenizer()(text)

    doc._check()
    spans = list(dict.fromkeys(zip(doc.starts.tolist(), doc.ends.tolist(), strict=True)))
    assert "".join(text[start:end] for start, end in spans) == "".join(text.split())
    assert doc.text == text and all(doc.words.values())
    for span in spans:
        words = [w or "" for w, s, e in zip(doc.words, doc.starts, doc.ends, strict=True) if (s, e) == span]
        assert "".join(words) == text[slice(*span)]


@given(st.lists(TEXTS, max_size=5))
def test_what_was_read_before_changes_nothing(texts: list[str]) -> None:
    used = Tokenizer()
    first = [used(text) for text in texts]

    assert [Tokenizer()(text) for text in reversed(texts)] == list(reversed(first))


def test_the_table_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_STRETCHES", 10)
    tokenizer = Tokenizer()

    tokenizer(" ".join(f"w{i}" for i in range(1000)))
    tokenizer("x" * 5000)

    assert len(tokenizer._remembered) <= 10


@pytest.mark.parametrize("unit", ["a-", "@", "a.", "#a", "(:", "'", "1/", "http://", "a&b"])
def test_time_grows_with_the_length_only(unit: str) -> None:
    text = unit * 5000
    started = time.perf_counter()

    Tokenizer()(text)

    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "word", ["नमस्ते", "e\u0301tude", "สวัสดี", "مُحَمَّد", "می\u200cخواهم", "क्\u200dष", "k\u0323a", "👨\u200d👩\u200d👧"]
)
def test_marks_and_joiners_belong_to_their_word(word: str) -> None:
    assert list(Tokenizer()(f"{word}, {word}").words) == [word, ",", word]


def test_exceptions_come_before_the_rules_and_survive_json() -> None:
    tokenizer = make_tokenizer(exceptions={"rock'n'roll!": ["rock", "'n'", "roll!"]})

    again = Tokenizer.from_json(json.loads(json.dumps(tokenizer.to_json())))

    assert surface(again("rock'n'roll! ok!")) == "rock 'n' roll! ok !"
    assert again.to_json() == tokenizer.to_json()


def test_exceptions_that_are_not_their_stretch_are_refused() -> None:
    for stretch, tokens in (("ab", ["a"]), ("a b", ["a ", "b"]), ("ab", ["ab", ""])):
        with pytest.raises(ConfigError):
            Tokenizer(exceptions={stretch: tokens})
    with pytest.raises(ConfigError, match="English"):
        make_tokenizer(lang="de")
    with pytest.raises(ModelFileError):
        Tokenizer.from_json({"format": "other"})


def test_the_registry_knows_it() -> None:
    tokenizer = registry.resolve({"@tokenizers": "frostline.Tokenizer.v1"})

    assert tokenizer("It's").words.values() == ["It", "'s"]


def load_raw(doc: Doc) -> list[str]:
    """The lines of a doc of raw text as CoNLL-U that the official scorer loads: every word hangs on the first."""
    doc = doc.without_annotations()
    lines = []
    n_words = 0
    for line in conllu_lines(doc):
        columns = line.rstrip("\n").split("\t")
        if len(columns) == 10 and columns[0].isdigit():
            n_words += 1
            columns[6:8] = ["0", "root"] if n_words == 1 else ["1", "dep"]
            line = "\t".join(columns) + "\n"
        lines.append(line)
    return lines


def test_word_f_on_ewts_raw_text_by_the_official_scorer(ewt: Path, tmp_path: Path) -> None:
    udeval = pytest.importorskip("udtools.udeval", reason="the official scorer is absent: pip install udtools")
    path = ewt / "en_ewt-ud-test.conllu"
    tokenizer = Tokenizer()
    system = tmp_path / "system.conllu"
    system.write_text("".join(line for doc in read_conllu(path) for line in load_raw(tokenizer(doc.text))), "utf-8")

    scores = udeval.evaluate(udeval.load_conllu_file(str(path)), udeval.load_conllu_file(str(system)))

    assert scores["Words"].f1 >= 0.985


def test_a_hundred_thousand_words_take_a_few_seconds() -> None:
    random.seed(0)
    words = ["the", "isn't", "(see", "e.g.", "http://a.b/c", "state-of-the-art", "$5.50,"]
    text = " ".join(random.choice(words) + str(random.randrange(3)) for _ in range(100_000))
    started = time.perf_counter()

    Tokenizer()(text)

    assert time.perf_counter() - started < 5
