"""The report of a made-up training tree: what it says, what it looks like as HTML, what it does about gaps."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from frostline.errors import ResultsError
from frostline.report import ReportSpec, make_report
from frostline.report.__main__ import main

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Outline(HTMLParser):
    """Checks that tags close in order; collects text, attributes and table cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.rows: list[list[tuple[str, bool]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(("", "best" in (dict(attrs).get("class") or "")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.rows and {"td", "th"} & set(self.open):
            text, is_best = self.rows[-1][-1]
            self.rows[-1][-1] = (text + data.strip(), is_best)


def add_run(
    root: Path, cell: str, score: float | None, *, seconds: float = 60.0, weights: bytes = b"w", encoder: bytes = b"e"
) -> None:
    """A trained cell; with a score, an evaluated one (one point less on test)."""
    folder = root / "training" / "p" / cell
    for name, content in (("tagger/weights", weights), ("transformer/encoder/model", encoder * 10)):
        file = folder / "model-last" / f"{name}.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    (folder / "timing.json").write_text(json.dumps({"seconds": seconds, "peak_memory_mib": 512.0, "n_parameters": 10}))
    log = [{"step": 10 * i, "epoch": i, "score": (score or 0.5) * i / 3, "is_best": True} for i in (1, 2, 3)]
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    for split, value in (("dev", score), ("test", None if score is None else score - 0.01)):
        if value is not None:
            (folder / split).mkdir()
            metrics = {"score": value, "xpos_acc": value, "xpos_acc/NN": 0.1}
            (folder / split / "metrics.json").write_text(json.dumps(metrics))
            (folder / split / "timing.json").write_text(json.dumps({"seconds": 1.0, "words_per_s": 9000.0}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add_run(tmp_path, "frozen-listener-0", 0.80, weights=b"a")
    add_run(tmp_path, "frozen-annotating-0", 0.80, weights=b"a", seconds=66)
    add_run(tmp_path, "unfrozen-listener-0", 0.93, weights=b"b", encoder=b"f", seconds=240)
    add_run(tmp_path, "unfrozen-annotating-0", 0.93, weights=b"c", encoder=b"f", seconds=241)
    add_run(tmp_path, "unfrozen-detached-0", 0.79, weights=b"d", seconds=100)
    return tmp_path


def outline(root: Path, spec: ReportSpec | None = None) -> Outline:
    made = make_report(root, "p", spec or ReportSpec())
    parser = Outline()
    parser.feed(made.html.read_text(encoding="utf8"))
    assert parser.open == []
    return parser


def table(page: Outline, name: str) -> list[tuple[str, bool]]:
    return next(row for row in page.rows if row and row[0][0].startswith(name))


def test_the_best_on_dev_is_named_and_the_earliest_name_wins_a_tie(root: Path) -> None:
    made = make_report(root, "p", ReportSpec())

    assert made.best == "unfrozen-annotating  (dev score 93.00, test 92.00)"
    assert "unfrozen-listener ties with it" in made.html.read_text(encoding="utf8")


def test_the_test_score_takes_no_part_in_the_choice(root: Path) -> None:
    better_on_test = root / "training" / "p" / "frozen-listener-0" / "test" / "metrics.json"
    better_on_test.write_text('{"score": 0.99}')

    assert make_report(root, "p", ReportSpec()).best.startswith("unfrozen-annotating")


def test_the_page_is_whole_html_that_loads_nothing(root: Path) -> None:
    page = outline(root)

    assert not [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "action")]
    text = (root / "reports" / "p" / "report.html").read_text(encoding="utf8")
    for loader in ("http:", "https:", "url(", "@import", "<script", "<link"):
        assert loader not in text


def test_the_best_of_each_column_is_marked_ties_together(root: Path) -> None:
    page = outline(root)

    assert table(page, "unfrozen-annotating") == [
        ("unfrozen-annotating", False), ("92.00", True), ("92.00", True), ("93.00", True), ("93.00", True)
    ]  # fmt: skip
    assert all(is_best for _, is_best in table(page, "unfrozen-listener")[1:])
    assert not any(is_best for _, is_best in table(page, "frozen-listener"))


def test_the_costs_say_what_of_the_evaluations_they_include(root: Path) -> None:
    timing = {"seconds": 60.0, "words_per_s": 500.0, "peak_memory_mib": 512.0}
    (root / "training" / "p" / "frozen-listener-0" / "timing.json").write_text(json.dumps(timing))
    made = make_report(root, "p", ReportSpec())

    for text in (made.html.read_text(encoding="utf8"), made.markdown.read_text(encoding="utf8")):
        assert "Training, in all" in text and "Words/s in training steps" in text
        assert "The time of training includes the evaluations on dev; its words per second leave them out." in text
    assert ("title", "Words trained on, by the seconds of training without the evaluations.") in outline(
        root
    ).attributes


def test_breakdowns_by_label_get_no_column(root: Path) -> None:
    assert "xpos_acc/NN" not in "".join(outline(root).texts)


def test_the_difference_from_the_baseline_stands_below_each_figure(root: Path) -> None:
    page = outline(root, ReportSpec(baseline="frozen-listener"))

    assert table(page, "unfrozen-detached")[1] == ("78.00−1.00", False)
    assert table(page, "frozen-listener")[1] == ("79.00", False)


def test_a_baseline_that_has_not_run_is_said_and_no_fault(root: Path) -> None:
    assert "The baseline nobody has no run here." in "".join(outline(root, ReportSpec(baseline="nobody")).texts)


def test_listener_and_annotating_models_are_compared_by_their_bytes(root: Path) -> None:
    text = make_report(root, "p", ReportSpec()).markdown.read_text(encoding="utf8")

    assert "frozen-listener and frozen-annotating: **identical**" in text
    assert "unfrozen-listener and unfrozen-annotating: **different**. The last models differ in tagger/weights" in text


def test_the_controls_cost_and_its_unmoved_encoder_are_told(root: Path) -> None:
    text = make_report(root, "p", ReportSpec()).markdown.read_text(encoding="utf8")

    assert "unfrozen-annotating and unfrozen-detached: **−14.00 points**" in text
    assert "Its encoder did not learn: transformer/encoder/model.safetensors has the bytes of frozen-annotating" in text


def test_frozen_and_unfrozen_are_compared_and_a_second_pair_with_the_same_answer_is_told_in_one_sentence(
    root: Path,
) -> None:
    text = make_report(root, "p", ReportSpec()).markdown.read_text(encoding="utf8")

    assert "frozen-annotating and unfrozen-annotating: **+13.00 points**" in text
    assert "unfrozen-annotating trains for 4 min 01 s against 1 min 06 s (3.65 ×)" in text
    assert "frozen-listener and unfrozen-listener show the same." in text


def test_coinciding_learning_curves_share_a_label(root: Path) -> None:
    texts = outline(root).texts

    assert "= frozen-listener" in texts and "= unfrozen-listener" in texts


def test_seeds_give_means_with_their_standard_deviation(tmp_path: Path) -> None:
    add_run(tmp_path, "frozen-listener-0", 0.80)
    add_run(tmp_path, "frozen-listener-1", 0.82)

    page = outline(tmp_path)

    assert table(page, "frozen-listener")[3] == ("81.00± 1.41", True)


def test_incomplete_variants_are_shown_as_such(root: Path) -> None:
    add_run(root, "small-0", None)
    (root / "training" / "p" / "tok2vec-0" / "checkpoint").mkdir(parents=True)
    (root / "training" / "p" / "best").mkdir()

    page = outline(root)

    assert table(page, "small")[0][0] == "smallincomplete: not evaluated on test and dev"
    assert table(page, "tok2vec")[0][0] == "tok2vecincomplete: not trained to its end"
    assert table(page, "tok2vec")[1] == ("–", False)
    assert "5 of 7 variants complete" in "".join(page.texts)


def test_a_profile_without_runs_gets_a_page_that_says_so(tmp_path: Path) -> None:
    made = make_report(tmp_path, "p", ReportSpec())

    assert made.best == "none yet"
    assert "Nothing has been evaluated on dev in profile p yet." in "".join(outline(tmp_path).texts)


def test_names_from_outside_can_not_break_the_page(tmp_path: Path) -> None:
    add_run(tmp_path, "a&b<i>-0", 0.5)

    page = outline(tmp_path, ReportSpec(title="<script>x</script>"))

    assert table(page, "a&b<i>")[1] == ("49.00", True)
    assert "<script" not in (tmp_path / "reports" / "p" / "report.html").read_text(encoding="utf8")


def test_equal_files_give_an_equal_report(root: Path) -> None:
    first = make_report(root, "p", ReportSpec()).html.read_bytes()

    assert make_report(root, "p", ReportSpec()).html.read_bytes() == first


@pytest.mark.parametrize(
    ("name", "content", "where"),
    [
        ("dev/metrics.json", '{"score": 0.9', "dev/metrics.json:1:14"),
        ("dev/metrics.json", '{"score": "high"}', "dev/metrics.json"),
        ("dev/metrics.json", '{"score": NaN}', "dev/metrics.json"),
        ("dev/metrics.json", "[1]", "dev/metrics.json"),
        ("timing.json", "", "timing.json:1:1"),
        ("log.jsonl", '{"step": 1, "score": 0.1}\n{"step": 2, "sco', "log.jsonl:2"),
        ("log.jsonl", '{"step": 1}\n', "log.jsonl:1"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place_and_the_way_out(
    root: Path, name: str, content: str, where: str
) -> None:
    folder = root / "training" / "p" / "frozen-listener-0"
    (folder / name).write_text(content)

    with pytest.raises(ResultsError) as caught:
        make_report(root, "p", ReportSpec())

    assert caught.value.where == str(folder / where)
    assert caught.value.fix is not None and "run the step" in caught.value.fix
    assert not (root / "reports").exists()


def test_the_command_ends_by_naming_the_report_and_the_best(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--root", str(root), "--profile", "p"])

    assert capsys.readouterr().out.splitlines() == [
        "report: reports/p/report.html",
        "best: unfrozen-annotating  (dev score 93.00, test 92.00)",
    ]


def test_bad_input_leaves_the_command_with_2_and_no_traceback(root: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text('{"titel": "x"}')

    command = [sys.executable, "-m", "frostline.report", "--root", str(root), "--profile", "p", "--spec", str(spec)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 2
    assert "Did you mean 'title'?" in ended.stderr and "Traceback" not in ended.stderr
