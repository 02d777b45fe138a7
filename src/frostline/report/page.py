"""What stands on the page: texts and table cells, ready to be laid out by the templates. Pure but for the templates.

Every figure is a string here; nothing is computed in a template.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from frostline.report import wording
from frostline.report.charts import N_COLOURS
from frostline.report.curves import cost_chart, learning_chart
from frostline.report.pairs import Finding, find_pairs
from frostline.report.reading import Run
from frostline.report.spec import ReportSpec
from frostline.report.summary import METRIC_TITLES, Mean, Variant, best_names, columns_of, gather

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One figure of a table. bar: share of the column's largest, 0 to 1, None where no bar is drawn."""

    text: str
    is_best: bool = False
    bar: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One variant in a table."""

    name: str
    colour: int
    missing: str | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One large figure at the top of the page."""

    title: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that the templates show."""

    title: str
    profile: str
    verdict: str
    detail: str
    best: str
    facts: tuple[Fact, ...]
    metric_titles: tuple[str, ...]
    scores: tuple[Row, ...]
    scores_note: str
    cost_titles: tuple[tuple[str, str], ...]  # heading and what it means
    costs_note: str
    costs: tuple[Row, ...]
    findings: tuple[Finding, ...]
    learning: Markup
    trade: Markup
    seeds_note: str
    n_complete: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A column of the cost table: where its figure comes from, how it is written, and whether less is better."""

    title: str
    note: str
    figure: Callable[[Variant], Mean | None]
    write: Callable[[float], str]
    lowest_is_best: bool = True


def _of(name: str, split: str | None = None) -> Callable[[Variant], Mean | None]:
    return lambda variant: variant.cost(name, split)


COSTS = (
    Cost(
        title="Training, in all",
        note="From the first step to the last model, with the evaluations on dev.",
        figure=_of("seconds"),
        write=wording.seconds,
    ),
    Cost(
        title="Words/s in training steps",
        note="Words trained on, by the seconds of training without the evaluations.",
        figure=_of("words_per_s"),
        write=wording.amount,
        lowest_is_best=False,
    ),
    Cost(
        title="Words/s in prediction",
        note="Of the evaluation on test.",
        figure=_of("words_per_s", "test"),
        write=wording.amount,
        lowest_is_best=False,
    ),
    Cost(
        title="Peak memory",
        note="Of the training process, at its highest.",
        figure=_of("peak_memory_mib"),
        write=wording.mebibytes,
    ),
    Cost(
        title="Peak GPU memory",
        note="Of the training process, at its highest.",
        figure=_of("peak_gpu_mib"),
        write=wording.mebibytes,
    ),
    Cost(title="Parameters", note="Frozen ones too.", figure=_of("n_parameters"), write=wording.amount),
    Cost(title="On disk", note="The best model's folder.", figure=_of("bytes_on_disk"), write=wording.megabytes),
)
COSTS_NOTE = (
    "Of training, but for the speed of prediction, which is measured on test. The time of training includes the "
    "evaluations on dev; its words per second leave them out. The best of each column is marked where variants differ."
)


def build_page(runs: Sequence[Run], profile: str, spec: ReportSpec) -> Page:
    """Lay out what the runs show."""
    variants = gather(runs)
    names = sorted(variant.name for variant in variants)
    colours = {name: number for number, name in enumerate(names)}
    metrics = columns_of(variants, spec.metrics)
    costs = [cost for cost in COSTS if any(cost.figure(variant) for variant in variants)]
    n_seeds = max((len(variant.runs) for variant in variants), default=0)
    verdict, detail, best = _verdict(variants, profile)
    return Page(
        title=spec.title or "Which variant is best?",
        profile=profile,
        verdict=verdict,
        detail=detail,
        best=best,
        facts=_facts(variants),
        metric_titles=tuple(METRIC_TITLES.get(name, name) for name in metrics),
        scores=_score_rows(variants, metrics, colours, spec.baseline),
        scores_note=_scores_note(n_seeds, spec.baseline, names),
        cost_titles=tuple((cost.title, cost.note) for cost in costs),
        costs_note=COSTS_NOTE,
        costs=_cost_rows(variants, costs, colours),
        findings=tuple(find_pairs(variants)),
        learning=Markup(learning_chart(variants, colours)),
        trade=Markup(cost_chart(variants, colours)),
        seeds_note=_seeds_note(n_seeds),
        n_complete=sum(variant.missing is None for variant in variants),
    )


def render(template: str, page: Page) -> str:
    """Fill a template of this package; HTML is escaped, Markdown is not."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(page=page, n_colours=N_COLOURS)


def _verdict(variants: Sequence[Variant], profile: str) -> tuple[str, str, str]:
    """One sentence, what stands behind it, and the line for the terminal."""
    if not variants or variants[0].score("dev") is None:
        sentence = f"Nothing has been evaluated on dev in profile {profile} yet."
        return sentence, "Run the training and evaluation steps, then make the report again.", "none yet"
    best = variants[0]
    dev, test = best.score("dev"), best.score("test")
    equal = best_names(variants, lambda variant: variant.score("dev")) - {best.name}
    sentence = f"{best.name} is best on dev"
    sentence += f" and scores {wording.percent_mean(test)} on test." if test else "; it has no test score yet."
    detail = f"Chosen by its dev score, {wording.percent_mean(dev)}"
    detail += f" (mean of {len(best.runs)} seeds). " if len(best.runs) > 1 else ". "
    if equal:
        detail += (
            f"{wording.listed(sorted(equal))} {'ties' if len(equal) == 1 else 'tie'} with it; the earliest name wins. "
        )
    behind = next((v for v in variants[1:] if v.name not in equal and v.score("dev")), None)
    if behind is not None:
        detail += f"Next comes {behind.name} with {wording.percent_mean(behind.score('dev'))}. "
    detail += "Test scores took no part in the choice."
    line = f"{best.name}  (dev score {wording.percent_mean(dev)}, test {wording.percent_mean(test)})"
    return sentence, detail, line


def _scores_note(n_seeds: int, baseline: str | None, names: Sequence[str]) -> str:
    note = "In percent, best on dev first, the best of each column marked."
    if n_seeds > 1:
        note += " Means over the seeds, with their standard deviation (±)."
    if baseline is None:
        return note
    if baseline not in names:
        return f"{note} The baseline {baseline} has no run here."
    return f"{note} With a sign: points beside {baseline}."


def _seeds_note(n_seeds: int) -> str:
    if n_seeds == 0:
        return "."
    return f", {n_seeds} seeds each." if n_seeds > 1 else ", 1 seed each. With one seed, small differences may be luck."


def _facts(variants: Sequence[Variant]) -> tuple[Fact, ...]:
    if not variants or variants[0].score("dev") is None:
        return ()
    best = variants[0]
    facts: list[Fact] = []
    for key, title in METRIC_TITLES.items():
        found = best.metric("test", key)
        if key != "score" and found and len(facts) < 3:
            facts.append(Fact(title=f"{title} on test", value=wording.percent(found.value)))
    for cost, title in ((COSTS[0], "to train"), (COSTS[2], "words/s in prediction"), (COSTS[3], "peak memory")):
        found = cost.figure(best)
        if found:
            facts.append(Fact(title=title, value=cost.write(found.value)))
    return tuple(facts)


def _score_rows(
    variants: Sequence[Variant], metrics: Sequence[str], colours: dict[str, int], baseline: str | None
) -> tuple[Row, ...]:
    base = next((variant for variant in variants if variant.name == baseline), None)
    cells: dict[str, list[Cell]] = {variant.name: [] for variant in variants}
    for split in ("test", "dev"):
        for metric in metrics:
            best = best_names(variants, lambda v, s=split, m=metric: v.metric(s, m))  # type: ignore[misc]
            for variant in variants:
                found = variant.metric(split, metric)
                beside = base.metric(split, metric) if base and base is not variant else None
                cells[variant.name].append(_score_cell(found, beside, is_best=variant.name in best))
    return tuple(
        Row(name=v.name, colour=colours[v.name], missing=v.missing, cells=tuple(cells[v.name])) for v in variants
    )


def _score_cell(found: Mean | None, beside: Mean | None, *, is_best: bool) -> Cell:
    if found is None:
        return Cell(text=wording.NOT_THERE)
    notes = [f"± {wording.percent(found.spread)}"] if found.spread is not None else []
    if beside is not None:
        notes.append(wording.points(found.value - beside.value))
    return Cell(text=wording.percent(found.value), is_best=is_best, notes=tuple(notes))


def _cost_rows(variants: Sequence[Variant], costs: Sequence[Cost], colours: dict[str, int]) -> tuple[Row, ...]:
    rows = []
    for variant in variants:
        cells = []
        for cost in costs:
            found = cost.figure(variant)
            if found is None:
                cells.append(Cell(text=wording.NOT_THERE))
                continue
            largest = max(other.value for v in variants if (other := cost.figure(v)))
            best = best_names(variants, cost.figure, lowest=cost.lowest_is_best)
            is_best = variant.name in best and len(best) < len(variants)
            bar = found.value / largest if largest else None
            cells.append(Cell(text=cost.write(found.value), is_best=is_best, bar=bar))
        rows.append(Row(name=variant.name, colour=colours[variant.name], missing=variant.missing, cells=tuple(cells)))
    return tuple(rows)
