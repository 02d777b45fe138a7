"""Each format is written here by hand, and read back."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from frostline.errors import CorpusError, FrostlineError, UsageError
from frostline.vectors.reading import detect_format, read_vectors
from frostline.vectors.subwords import fnv1a, ngrams_of
from frostline.vectors.table import Vectors

WORDS = ("the", "Frost", "straße", "New York")
TABLE = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def as_text(path: Path, *, header: bool) -> Path:
    lines = [f"{word} {' '.join(map(repr, row.tolist()))}" for word, row in zip(WORDS, TABLE, strict=True)]
    path.write_text("\n".join([*([f"{len(WORDS)} 3"] if header else []), *lines]) + "\n", encoding="utf8")
    return path


def as_word2vec_binary(path: Path, *, newline: bytes = b"\n") -> Path:
    rows = (word.replace(" ", "_").encode() + b" " + row.tobytes() for word, row in zip(WORDS, TABLE, strict=True))
    path.write_bytes(b"4 3\n" + b"".join(row + newline for row in rows))
    return path


FASTTEXT_WORDS = ("</s>", "the", "Frost", "straße")
N_BUCKETS = 7


def as_fasttext(path: Path, *, version: int = 12, quantised: bool = False, longest: int = 4) -> Path:
    """A skip-gram model: header, settings, dictionary, input table; nobody reads the output table."""
    table = np.random.default_rng(1).normal(size=(len(FASTTEXT_WORDS) + N_BUCKETS, 3)).astype(np.float32)
    settings = struct.pack("<12id", 3, 5, 5, 1, 5, 1, 1, 2, N_BUCKETS, 2, longest, 100, 1e-4)
    entries = b"".join(word.encode() + b"\0" + struct.pack("<qb", 10, 0) for word in FASTTEXT_WORDS)
    entries += b"__label__x\0" + struct.pack("<qb", 1, 1)
    dictionary = struct.pack("<3i2q", len(FASTTEXT_WORDS) + 1, len(FASTTEXT_WORDS), 1, 99, -1) + entries
    matrix = struct.pack("<?2q", quantised, *table.shape) + table.tobytes()
    path.write_bytes(struct.pack("<2i", 793712314, version) + settings + dictionary + matrix)
    return path


def check(vectors: Vectors, words: tuple[str, ...] = WORDS) -> None:
    assert tuple(vectors.words) == words
    assert np.array_equal(vectors.vectors_of(list(words)), TABLE)


@pytest.mark.parametrize("header", [True, False], ids=["word2vec", "GloVe"])
def test_text_is_read_with_and_without_counts(header: bool, tmp_path: Path) -> None:
    file = as_text(tmp_path / "v.txt", header=header)

    assert detect_format(file) == "text"
    check(read_vectors(file))
    assert len(read_vectors(file, max_words=2)) == 2


@pytest.mark.parametrize("newline", [b"\n", b""])
def test_word2vec_binary_is_read(newline: bytes, tmp_path: Path) -> None:
    file = as_word2vec_binary(tmp_path / "v.bin", newline=newline)

    assert detect_format(file) == "word2vec-binary"
    check(read_vectors(file), tuple(word.replace(" ", "_") for word in WORDS))
    assert len(read_vectors(file, max_words=2)) == 2


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    for header in (True, False):
        file = as_text(tmp_path / "v.txt", header=header)
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())

        assert detect_format(file) == "text"
        check(read_vectors(file))


def test_a_text_file_with_fewer_lines_than_it_counts_is_refused(tmp_path: Path) -> None:
    file = as_text(tmp_path / "v.txt", header=True)
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))

    with pytest.raises(CorpusError, match="counts 4 words, but 3 lines follow") as error:
        read_vectors(file)

    assert error.value.where == str(file) and error.value.fix
    assert len(read_vectors(file, max_words=3)) == 3


def test_words_that_come_twice_count_as_lines(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("3 1\na 1\na 2\nb 3\n")

    assert tuple(read_vectors(tmp_path / "v.txt").words) == ("a", "b")


def test_a_last_line_without_an_end_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = as_text(tmp_path / "v.txt", header=True)
    read_vectors(file)
    assert not capsys.readouterr().err
    file.write_bytes(file.read_bytes()[:-1])

    check(read_vectors(file))

    assert f"{file}:5: the last line has no end" in capsys.readouterr().err


def plain_hash(ngram: str) -> int:
    hashed = np.uint32(2166136261)
    with np.errstate(over="ignore"):
        for byte in ngram.encode():
            hashed = np.uint32(hashed ^ np.uint32(np.int64(np.array(byte, np.uint8).view(np.int8)) & 0xFFFFFFFF))
            hashed = np.uint32(hashed * np.uint32(16777619))
    return int(hashed)


def plain_subwords(word: str, shortest: int, longest: int) -> list[str]:
    marked = f"<{word}>"
    return [marked[i : i + n] for i in range(len(marked)) for n in range(shortest, longest + 1) if i + n <= len(marked)]


def test_fasttext_is_read_with_its_subwords(tmp_path: Path) -> None:
    file = as_fasttext(tmp_path / "m.bin")
    table = np.random.default_rng(1).normal(size=(len(FASTTEXT_WORDS) + N_BUCKETS, 3)).astype(np.float32)

    vectors = read_vectors(file)

    assert detect_format(file) == "fasttext"
    assert tuple(vectors.words) == FASTTEXT_WORDS
    for number, word in enumerate(FASTTEXT_WORDS):
        rows = [number]
        if word != "</s>":
            rows += [len(FASTTEXT_WORDS) + plain_hash(ngram) % N_BUCKETS for ngram in plain_subwords(word, 2, 4)]
        assert np.allclose(vectors.vector(word), table[rows].mean(axis=0), atol=1e-6), word
    unknown = [len(FASTTEXT_WORDS) + plain_hash(ngram) % N_BUCKETS for ngram in plain_subwords("großes", 2, 4)]
    assert np.allclose(vectors.vector("großes"), table[unknown].mean(axis=0), atol=1e-6)
    assert "großes" not in vectors and vectors.have(["großes", ""]).tolist() == [True, True]


def test_fasttext_without_subwords_has_its_words_alone(tmp_path: Path) -> None:
    vectors = read_vectors(as_fasttext(tmp_path / "m.bin", longest=0))

    assert vectors.subwords is None and not vectors.vector("unknown").any()


def test_fnv_and_ngrams_are_fasttexts() -> None:
    assert fnv1a(b"<th") == plain_hash("<th") and fnv1a("ß".encode()) == plain_hash("ß")
    assert ngrams_of("ab", 1, 3) == [b"<a", b"<ab", b"a", b"ab", b"ab>", b"b", b"b>"]


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
def test_arrays_are_read_with_their_list_of_words(suffix: str, tmp_path: Path) -> None:
    file, words = tmp_path / f"v{suffix}", tmp_path / "words.txt"
    if suffix == ".npy":
        np.save(file, TABLE)
    else:
        save_file({"embedding": TABLE}, file)
    words.write_text("\n".join(WORDS) + "\n", encoding="utf8")

    check(read_vectors(file, words=words))
    assert len(read_vectors(file, words=words, max_words=2)) == 2


def faulty_array(name: str, file: Path) -> tuple[Path, str]:
    """The file, and what is said of it."""
    if name == "two arrays":
        save_file({"a": TABLE, "b": TABLE}, file := file.with_suffix(".safetensors"))
        return file, r"a \(4, 3\), b \(4, 3\)"
    arrays = {"one dimension": (TABLE[0], r"array \(3,\)"), "text": (np.array([["a"]] * 4), "not numbers"),
              "objects": (np.array([[None]] * 4), "can't be read"), "nan": (TABLE * np.nan, "not finite"),
              "short": (TABLE[:3], "has 3 rows, but there are 4 words")}  # fmt: skip
    np.save(file, arrays[name][0], allow_pickle=True)
    return file, arrays[name][1]


@pytest.mark.parametrize("name", ["two arrays", "one dimension", "text", "objects", "nan", "short"])
def test_an_array_that_is_no_table_is_named_with_what_to_do(name: str, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("\n".join(WORDS) + "\n", encoding="utf8")
    file, said = faulty_array(name, tmp_path / "v.npy")

    with pytest.raises(CorpusError, match=said) as error:
        read_vectors(file, words=words)

    assert error.value.where == str(file) and error.value.fix


def test_a_blank_line_in_a_list_of_words_is_named_where_rows_and_words_differ(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", TABLE)
    words = tmp_path / "words.txt"
    words.write_bytes("\ufeffthe\r\n\r\nFrost\r\nstraße\r\n".encode())

    with pytest.raises(CorpusError, match="4 rows, but there are 3 words: of the list's lines, 2 is blank") as error:
        read_vectors(tmp_path / "v.npy", words=words)
    assert error.value.fix
    words.write_bytes("\ufeffthe\n\nFrost\nstraße\nNew York\n".encode())

    check(read_vectors(tmp_path / "v.npy", words=words))


def test_gensims_format_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "v.kv"
    file.write_bytes(b"\x80\x04")
    monkeypatch.setitem(sys.modules, "gensim.models", None)

    with pytest.raises(UsageError, match="gensim is not installed") as error:
        read_vectors(file)

    assert "frostline[vectors]" in (error.value.fix or "")


def test_keyed_vectors_of_gensim_are_read(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim.models")
    keyed = gensim.KeyedVectors(3)
    keyed.add_vectors(list(WORDS), TABLE)
    keyed.save(str(tmp_path / "v.kv"))

    found = read_vectors(tmp_path / "v.kv")

    assert tuple(found.words) == WORDS
    assert np.array_equal(found.vectors_of(list(WORDS)), TABLE)


def faulty(name: str, folder: Path) -> tuple[Path, str]:
    file = folder / "v.txt"
    if name == "width":
        file.write_text("a 1 2 3\nb 1 2\n")
        return file, f"{file}:2"
    if name == "number":
        file.write_text("2 2\na 1 2\nb 1 x\n")
        return file, f"{file}:3"
    if name == "nan":
        file.write_text("a 1 2\nb 1 nan\n")
        return file, f"{file}:2"
    if name == "counts only":
        file.write_text("0 5\n")
        return file, str(file)
    if name == "cut":
        cut = as_word2vec_binary(folder / "v.bin")
        cut.write_bytes(cut.read_bytes()[:-9])
        return cut, str(cut)
    if name == "cut fasttext":
        cut = as_fasttext(folder / "m.bin")
        cut.write_bytes(cut.read_bytes()[:-9])
        return cut, str(cut)
    if name == "quantised":
        return (file := as_fasttext(folder / "m.bin", quantised=True)), str(file)
    if name == "version":
        return (file := as_fasttext(folder / "m.bin", version=11)), str(file)
    if name == "picture":
        file.write_bytes(b"\x89PNG\r\n\x1a\n")
        return file, str(file)
    if name == "empty":
        file.touch()
        return file, str(file)
    return folder / "none.vec", str(folder / "none.vec")


FAULTS = ("width", "number", "nan", "counts only", "cut", "cut fasttext", "quantised", "version", "picture", "missing")
FAULTS += ("empty",)


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_file_is_named_with_its_line(name: str, tmp_path: Path) -> None:
    file, where = faulty(name, tmp_path)

    with pytest.raises(CorpusError) as error:
        read_vectors(file)

    assert error.value.where == where


def test_the_wrong_arguments_are_named(tmp_path: Path) -> None:
    file = as_text(tmp_path / "v.txt", header=True)

    for options in ({"format": "glove"}, {"words": file}, {"format": "array"}):
        with pytest.raises(FrostlineError) as error:
            read_vectors(file, **options)  # type: ignore[arg-type]
        assert error.value.fix
