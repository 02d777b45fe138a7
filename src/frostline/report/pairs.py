"""What pairs of variants show, in words: variants whose names differ in one part are one experiment.

`x-listener` beside `x-annotating` shows that two ways of reading the encoder end in the same bytes; `x-detached` what
annotations without a way back cost; `frozen-y` beside `unfrozen-y` what moving the encoder buys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from frostline.report.reading import Run
from frostline.report.summary import METRIC_TITLES, Variant
from frostline.report.wording import listed, mebibytes, percent, points, seconds, times

GOOD, BAD, NEUTRAL, UNKNOWN = "good", "bad", "neutral", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One pair, what it asks, the answer in two or three words, and sentences that bear it out."""

    question: str
    names: tuple[str, str]
    answer: str
    tone: str
    sentences: tuple[str, ...]


def find_pairs(variants: Sequence[Variant]) -> list[Finding]:
    """All findings that the variants allow."""
    by_name = {variant.name: variant for variant in sorted(variants, key=lambda variant: variant.name)}
    found = []
    for name, variant in by_name.items():
        stem, _, reading = name.rpartition("-")
        if reading == "listener" and (other := by_name.get(f"{stem}-annotating")):
            found.append(same_bytes(variant, other))
    for name, variant in by_name.items():
        stem, _, reading = name.rpartition("-")
        sharing = by_name.get(f"{stem}-annotating") or by_name.get(f"{stem}-listener")
        if reading == "detached" and sharing:
            found.append(cost_of_detaching(sharing, variant, by_name))
    moves = [
        (v, other) for name, v in by_name.items() if name.startswith("frozen-") and (other := by_name.get(f"un{name}"))
    ]
    found += _without_repeats([gain_of_moving(frozen, unfrozen) for frozen, unfrozen in moves])
    for name, variant in by_name.items():
        stem, _, reading = name.rpartition("-")
        if reading == "independent" and (other := by_name.get(f"{stem}-listener")):
            found.append(price_of_independence(other, variant))
    return found


def _without_repeats(findings: Sequence[Finding]) -> list[Finding]:
    """Findings with one answer to one question, told once; the others' names are added as a sentence."""
    kept: list[Finding] = []
    for finding in findings:
        twin = next((i for i, other in enumerate(kept) if other.answer == finding.answer), None)
        if twin is None or finding.tone == UNKNOWN:
            kept.append(finding)
            continue
        more = f"{finding.names[0]} and {finding.names[1]} show the same."
        kept[twin] = replace(kept[twin], sentences=(*kept[twin].sentences, more))
    return kept


def same_bytes(listener: Variant, annotating: Variant) -> Finding:
    """Do listener and annotating end in the same weights?"""
    verdicts = [_compare(left.model_digests(), right.model_digests()) for left, right in _by_seed(listener, annotating)]
    known = [verdict for verdict in verdicts if verdict is not None]
    sentences = []
    if not known:
        answer, tone = "not known yet", UNKNOWN
        sentences.append("One of the two has no saved model here, so their weights can't be compared.")
    elif not any(known):
        answer, tone = "identical", GOOD
        of_seeds = "" if len(known) == 1 else f" for each of {len(known)} seeds"
        sentences.append(f"All weights of the last models have the same bytes{of_seeds}.")
    else:
        answer, tone = "different", BAD
        names = sorted({file for differing in known for file in differing})
        sentences.append(f"The last models differ in {listed(names[:4])}{' and more' if len(names) > 4 else ''}.")
    sentences += _costs(annotating, listener)
    stem = listener.name.rpartition("-")[0]
    return Finding(
        question=f"Does it matter how components read the {stem} encoder?",
        names=(listener.name, annotating.name),
        answer=answer,
        tone=tone,
        sentences=tuple(sentences),
    )


def cost_of_detaching(sharing: Variant, detached: Variant, by_name: Mapping[str, Variant]) -> Finding:
    """What annotations without a way back for the gradient cost."""
    question = "What does it cost when annotations have no way back for the gradient?"
    difference = _difference(detached, sharing)
    names = (sharing.name, detached.name)
    if difference is None:
        return _open(question, names)
    sentences = [_scores(detached, sharing)]
    frozen = next((v for name, v in by_name.items() if name.startswith("frozen-") and v.score("test")), None)
    if frozen is not None:
        shared = _largest_file_in_common(frozen, detached)
        if shared:
            sentences.append(
                f"Its encoder did not learn: {shared} has the bytes of {frozen.name}, "
                "although nothing in its config freezes it."
            )
    sentences.append("The variant is a control: the fault is there on purpose.")
    tone = BAD if difference < 0 else NEUTRAL
    return Finding(
        question=question, names=names, answer=f"{points(difference)} points", tone=tone, sentences=tuple(sentences)
    )


def gain_of_moving(frozen: Variant, unfrozen: Variant) -> Finding:
    """What moving the encoder buys, and what it costs."""
    question = "What does it buy to train the encoder too?"
    difference = _difference(unfrozen, frozen)
    names = (frozen.name, unfrozen.name)
    if difference is None:
        return _open(question, names)
    sentences = [_scores(unfrozen, frozen), *_costs(unfrozen, frozen)]
    return Finding(
        question=question,
        names=names,
        answer=f"{points(difference)} points",
        tone=GOOD if difference > 0 else NEUTRAL,
        sentences=tuple(sentences),
    )


def price_of_independence(shared: Variant, independent: Variant) -> Finding:
    """What a private encoder for each component buys, and what it costs."""
    question = "What does it buy to give each component an encoder of its own?"
    difference = _difference(independent, shared)
    names = (shared.name, independent.name)
    if difference is None:
        return _open(question, names)
    sentences = [_scores(independent, shared), *_costs(independent, shared)]
    sizes = independent.cost("bytes_on_disk"), shared.cost("bytes_on_disk")
    if sizes[0] and sizes[1] and sizes[1].value:
        sentences.append(f"On disk it is {times(sizes[0].value / sizes[1].value)} as large.")
    tone = GOOD if difference > 0 else NEUTRAL
    return Finding(
        question=question, names=names, answer=f"{points(difference)} points", tone=tone, sentences=tuple(sentences)
    )


def _open(question: str, names: tuple[str, str]) -> Finding:
    sentence = "One of the two has not been evaluated on test."
    return Finding(question=question, names=names, answer="not known yet", tone=UNKNOWN, sentences=(sentence,))


def _difference(variant: Variant, other: Variant) -> float | None:
    mine, theirs = variant.score("test"), other.score("test")
    return mine.value - theirs.value if mine and theirs else None


def _scores(variant: Variant, other: Variant) -> str:
    mine, theirs = variant.score("test"), other.score("test")
    if mine is None or theirs is None:
        return ""
    parts = []
    for key, title in METRIC_TITLES.items():
        left, right = variant.metric("test", key), other.metric("test", key)
        if key != "score" and left and right:
            parts.append(f"{title} {points(left.value - right.value)}")
    head = f"{variant.name} scores {percent(mine.value)} on test against {percent(theirs.value)} of {other.name}"
    return f"{head} ({', '.join(parts)})." if len(parts) > 1 else f"{head}."


def _costs(variant: Variant, other: Variant) -> list[str]:
    """A sentence on training seconds and memory, where both are known."""
    parts = []
    mine, theirs = variant.cost("seconds"), other.cost("seconds")
    if mine and theirs and theirs.value:
        parts.append(
            f"trains for {seconds(mine.value)} against {seconds(theirs.value)} ({times(mine.value / theirs.value)})"
        )
    mine, theirs = variant.cost("peak_memory_mib"), other.cost("peak_memory_mib")
    if mine and theirs:
        parts.append(f"peaks at {mebibytes(mine.value)} of memory against {mebibytes(theirs.value)}")
    return [f"{variant.name} {' and '.join(parts)}."] if parts else []


def _by_seed(left: Variant, right: Variant) -> list[tuple[Run, Run]]:
    others = {run.seed: run for run in right.runs}
    return [(run, others[run.seed]) for run in left.runs if run.seed in others]


def _compare(left: Mapping[str, str], right: Mapping[str, str]) -> tuple[str, ...] | None:
    """Names of the files that differ; None when a side has no files."""
    if not left or not right:
        return None
    return tuple(name for name in sorted({*left, *right}) if left.get(name) != right.get(name))


def _largest_file_in_common(left: Variant, right: Variant) -> str | None:
    """The largest weights file that has the same bytes in both variants, in every seed that both have."""
    common: dict[str, int] | None = None
    for one, other in _by_seed(left, right):
        mine, theirs = one.model_digests(), other.model_digests()
        same = {name for name in mine if theirs.get(name) == mine[name] and (common is None or name in common)}
        common = {name: (one.folder / "model-last" / name).stat().st_size for name in same}
    return max(sorted(common), key=common.__getitem__) if common else None
