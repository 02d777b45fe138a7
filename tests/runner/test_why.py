"""The exact cause of a run and what follows from it: in words, word by word, and as data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frostline.digest import md5_bytes
from frostline.runner.planning.causes import Cause, Kind
from frostline.runner.planning.word_diff import first_difference, marked_lines

from .conftest import CHAIN, Playground


def why(ground: Playground, *words: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(ground.project("why", *words, "--json"))
    return rows


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (["train --rate 0.1 x"], ["train --rate 0.2 x"], "0.1 → 0.2"),
        (["train x"], ["train --fast x"], "+ --fast"),
        (["train --slow x"], ["train x"], "- --slow"),
        (["a 1 b 1"], ["a 2 b 2"], "in 2 places"),
        (["one", "two"], ["one"], "- two"),
        (["x " + "y" * 50], ["x z"], "y" * 37 + "… → z"),
        (["a  b"], ["a b"], ""),
    ],
)
def test_the_words_that_changed_are_named(old: list[str], new: list[str], shown: str) -> None:
    assert first_difference(old, new) == shown


texts = st.lists(st.text(alphabet="ab ", max_size=6).map(lambda text: " ".join(text.split())), max_size=4)


@given(old=texts, new=texts)
def test_marked_lines_hold_both_commands(old: list[str], new: list[str]) -> None:
    def side(keeps: str) -> list[str]:
        return [
            " ".join(text for mark, text in pieces if mark in (" ", keeps) and text)
            for sign, pieces in marked_lines(old, new)
            if sign in (" ", "~", keeps)
        ]

    assert (side("-"), side("+")) == (old, new)


def test_a_cause_is_data_first_and_a_sentence_from_it() -> None:
    cause = Cause(kind=Kind.VARIABLE, name="rate", old="0." + "1" * 50, new="0.2")

    assert cause.as_json() == {"kind": "variable", "name": "rate", "old": cause.old, "new": "0.2"}
    assert str(cause) == "vars.rate changed: 0." + "1" * 35 + "… → 0.2"


def test_a_changed_dep_is_named_with_both_digests_and_the_steps_that_may_follow(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"source.txt": "changed\n"})

    (row,) = why(chain, "first")

    digests = [md5_bytes(text) for text in (b"one\n", b"changed\n")]
    assert row["reasons"] == [f"dep 'source.txt' changed: {digests[0][:8]} → {digests[1][:8]}"]
    assert row["causes"] == [{"kind": "dep", "name": "source.txt", "old": digests[0], "new": digests[1]}]
    assert row["downstream"] == [
        {"step": "second", "action": "run", "certain": False},
        {"step": "third", "action": "run", "certain": False},
    ]
    assert row["last_run"]["step"] == "first"


def test_a_step_with_a_cause_of_its_own_follows_surely_and_one_that_waits_perhaps(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"source.txt": "changed\n", "other.txt": "changed\n"})

    said = chain.project("why", "first").splitlines()
    planned = chain.project("run", "all", "--dry").splitlines()

    assert said[-2:] == ["  then these would run: third", "  then perhaps, if a dep comes out changed: second"]
    assert [line.split()[:2] for line in planned[:3]] == [["run", "first"], ["perhaps", "second"], ["run", "third"]]
    assert planned[3] == "2 steps to run, 1 perhaps (if a dep comes out changed), 0 to restore, 0 up to date"


def test_below_a_plan_stands_what_it_would_put_out_of_date(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"source.txt": "changed\n"})

    for words in (["run", "first", "--dry"], ["status", "first"]):
        said = chain.project(*words).splitlines()
        assert said[1:] == [
            "1 step to run, 0 to restore, 0 up to date",
            "then perhaps, if a dep comes out changed: second, third",
        ]
    assert len(json.loads(chain.project("status", "first", "--json"))) == 1


def test_a_restored_step_promises_its_outputs_so_that_nothing_is_perhaps(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"source.txt": "changed\n"})
    chain.project("run", "all")
    chain.write({"source.txt": "one\n"})

    (row,) = why(chain, "first")

    assert (row["action"], row["certain"]) == ("restore", True)
    assert [(other["action"], other["certain"]) for other in row["downstream"]] == [("restore", True)] * 2
    assert "then these would run: second (from the store), third" in chain.project("why", "first")


def test_a_step_up_to_date_says_so_and_that_nothing_follows(chain: Playground) -> None:
    chain.project("run", "all")

    (row,) = why(chain, "second")

    assert (row["action"], row["reasons"], row["causes"], row["downstream"]) == ("skip", [], [], [])
    assert chain.project("why", "second").splitlines()[0] == "second is up to date"


def test_of_a_changed_folder_the_files_are_named(playground: Playground) -> None:
    playground.write(
        {
            "project.yml": "profiles: {p: {}}\ncommands:\n"
            "  - {name: make, script: ['cp -r given made'], deps: [given], outputs: [made]}\n"
            "  - {name: read, script: ['cp made/a.txt r'], deps: [made], outputs: [r]}\n",
            "given/a.txt": "1",
            "given/b.txt": "1",
        }
    )
    playground.project("run", "read")
    playground.write({"given/a.txt": "2", "given/c.txt": "1"})
    (playground.root / "given/b.txt").unlink()
    playground.project("run", "make")

    (row,) = why(playground, "read")

    assert row["causes"][0]["files"] == {"changed": ["a.txt"], "new": ["c.txt"], "gone": ["b.txt"]}
    assert "      changed: a.txt\n      new: c.txt\n      gone: b.txt\n" in playground.project("why", "read")


def test_a_long_value_is_shown_whole_word_by_word(playground: Playground) -> None:
    names = " ".join(f"name-{number}" for number in range(12))
    command = "{name: s, script: ['touch o', 'echo ${vars.names}'], outputs: [o]}"
    playground.write({"project.yml": f"vars: {{names: {names}}}\ncommands: [{command}]\n"})
    playground.project("run", "s")

    said = playground.project("why", "s", "--set", f"vars.names={names} name-12").splitlines()

    assert said[1:3] == ["  because vars.names changed:", f"    ~ {names} {{+name-12+}}"]
    assert said[3:6] == ["  because command changed:", "      touch o", f"    ~ echo {names} {{+name-12+}}"]


def test_a_patch_level_is_told_and_runs_nothing(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    from frostline.runner.keeping import context

    monkeypatch.setattr(context, "installed_versions", lambda: {"torch": "2.13.0"})
    playground.write({"project.yml": "commands: [{name: s, script: [touch o], outputs: [o], requires: [torch]}]\n"})
    playground.project("run", "s")
    monkeypatch.setattr(context, "installed_versions", lambda: {"torch": "2.13.1"})

    assert playground.project("why", "s").splitlines()[0] == "s is up to date"
    assert "torch was 2.13.0 then, and is 2.13.1 now" in playground.project("why", "s")
    monkeypatch.setattr(context, "installed_versions", lambda: {"torch": "2.14.0"})
    (row,) = why(playground, "s")
    assert row["causes"] == [{"kind": "package", "name": "torch", "old": "2.13", "new": "2.14"}]


def test_a_secret_is_named_and_its_value_is_not(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hidden-1")
    text = "env: {t: TOKEN}\ncommands: [{name: s, script: ['touch o', 'echo ${env.t}'], outputs: [o]}]\n"
    playground.write({"project.yml": text})
    playground.project("run", "s")
    monkeypatch.setenv("TOKEN", "hidden-2")

    (row,) = why(playground, "s")

    assert row["causes"] == [{"kind": "environment", "name": "TOKEN"}]
    assert "hidden" not in json.dumps(row)


def test_every_reason_that_status_gives_is_why_s_too(chain: Playground) -> None:
    chain.project("run", "all")
    chain.write({"project.yml": CHAIN.replace("copy.py source.txt", "copy.py other.txt source.txt"), "other.txt": "x"})
    (chain.root / "out/third.txt").unlink()

    rows = {row["step"]: row["reasons"] for row in why(chain, "all")}

    assert rows == {step: reasons for step, (_, reasons) in chain.decisions().items()}
