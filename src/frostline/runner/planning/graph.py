"""Who needs whom: edges from deps to the steps that write them, what a name selects, and in which order. Pure.

A path may have several writers (weasel's projects do that): the last one before the reader owns it. What only a
parallel run forbids is checked by `refuse_overlaps`.
"""

from __future__ import annotations

import bisect
import graphlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from frostline.errors import ProjectFileError, UsageError, did_you_mean
from frostline.runner.planning.names import Names
from frostline.runner.project.expand import Project
from frostline.runner.project.faults import Faults
from frostline.runner.project.spec import FETCH, Place, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The steps of a project and the edges between them."""

    steps: Mapping[str, Step]  # in the file's order
    names: Names
    writers: Writers
    upstream: Mapping[str, tuple[str, ...]]  # step -> the steps it needs, in the file's order
    producers: Mapping[str, Mapping[PurePosixPath, tuple[str, ...]]]  # step -> dep -> who makes it
    overlapping: frozenset[str]  # steps that share an output with another, or nest one, or read their own
    last_writers: Mapping[PurePosixPath, str]

    def downstream(self, name: str) -> tuple[str, ...]:
        """The steps that need `name` directly, in the file's order."""
        return tuple(other for other, needed in self.upstream.items() if name in needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a command line asks for."""

    order: tuple[str, ...]  # every step to look at, each after those it needs
    named: frozenset[str]  # the steps that were asked for by name
    workflows: tuple[str, ...]  # the workflows among the names


class Writers:
    """Finds the writers of a path, of a folder above it and of paths inside it."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self.by_path: dict[str, list[int]] = {}
        for index, step in enumerate(steps):
            for path in step.all_outputs:
                self.by_path.setdefault(str(path), []).append(index)
        self.paths = sorted(self.by_path)

    def of(self, path: PurePosixPath) -> set[int]:
        """Indices of the steps that write `path`, a folder above it, or something inside it."""
        text = str(path)
        found = set(self.by_path.get(text, ()))
        for other in self.around(text):
            found.update(self.by_path[other])
        return found

    def around(self, text: str) -> Iterator[str]:
        """The outputs that are a folder above a path, or lie inside it."""
        yield from (above for above in _above(text) if above in self.by_path)
        if text == ".":
            yield from (path for path in self.paths if path != text)
            return
        prefix = f"{text}/"
        start = bisect.bisect_left(self.paths, prefix)
        while start < len(self.paths) and self.paths[start].startswith(prefix):
            yield self.paths[start]
            start += 1


def _above(text: str) -> Iterator[str]:
    """The folders above a path, as PurePosixPath.parents has them, without its cost."""
    at = text.rfind("/")
    while at > 0:
        yield text[:at]
        at = text.rfind("/", 0, at)
    if text not in (".", "/"):
        yield "/" if text.startswith("/") else "."


def build_graph(steps: tuple[Step, ...]) -> Graph:
    """Edges from deps, outputs and `wait_for`."""
    writers, names = Writers(steps), Names(steps)
    upstream, producers, overlapping = {}, {}, set()
    for index, step in enumerate(steps):
        made = {dep: _owners(steps, writers.of(dep), index) for dep in step.deps}
        producers[step.name] = made
        needed = {name for makers in made.values() for name in makers}
        needed |= {name for wanted in step.wait_for for name in names.matching(wanted)}
        upstream[step.name] = tuple(sorted(needed - {step.name}, key=names.rank.__getitem__))
        if any(writers.of(path) - {index} for path in step.all_outputs) or _reads_itself(step) or _nests(step):
            overlapping.add(step.name)
    last = {path: step.name for step in steps for path in step.all_outputs}
    return Graph(
        steps={step.name: step for step in steps},
        names=names,
        writers=writers,
        upstream=upstream,
        producers=producers,
        overlapping=frozenset(overlapping),
        last_writers=last,
    )


def _owners(steps: tuple[Step, ...], found: set[int], reader: int) -> tuple[str, ...]:
    """Of several writers of one path, the last before the reader; else the last of all."""
    others = sorted(found - {reader})
    if len(others) < 2:
        return tuple(steps[index].name for index in others)
    owners: dict[PurePosixPath, int] = {}
    for index in others:
        for path in steps[index].all_outputs:
            if index < reader or owners.get(path, reader + 1) > reader:
                owners[path] = index
    kept = sorted(set(owners.values()) & set(others))
    return tuple(steps[index].name for index in kept)


def _reads_itself(step: Step) -> bool:
    deps, made = {str(path) for path in step.deps}, {str(path) for path in step.all_outputs}
    return bool(deps & made) or _any_above(deps, made) or _any_above(made, deps)


def _nests(step: Step) -> bool:
    made = {str(path) for path in step.all_outputs}
    return len(made) > 1 and _any_above(made, made)


def _any_above(folders: set[str], paths: set[str]) -> bool:
    return any(above in folders for path in paths for above in _above(path))


def check_workflows(project: Project) -> None:
    """Note every word of a workflow, and of `wait_for`, that means no step. Raises ProjectFileError."""
    faults = Faults(project.spec.file_name)
    names = Names(project.steps)
    known = [*names.rank, *(command.name for command in project.spec.commands)]
    for workflow, words in project.spec.workflows.items():
        for word in words:
            if not _means_something(project, names, word):
                faults.unknown(word.place, f"step in the workflow '{workflow}'", word, known)
    for step in project.steps:
        for wanted in step.wait_for:
            if not _means_something(project, names, wanted):
                faults.unknown(Place(step.line, 1), f"step in 'wait_for' of '{step.name}'", wanted, known)
    faults.raise_any()


def _means_something(project: Project, names: Names, word: str) -> bool:
    """Whether a word names steps; the name of a command whose matrix is empty or that another profile has, and `fetch`
    without assets, do."""
    if names.matching(word) or (word == FETCH and project.spec.assets):
        return True
    return any(
        (command.matrix is not None or command.profiles)
        and (command.name == word or command.name.split("${")[0].rstrip("-") == word)
        for command in project.spec.commands
    )


def select(project: Project, graph: Graph, names: Iterable[str], *, only: bool = False) -> Selection:
    """Find what names mean and put it in order.

    Args:
        names: steps, workflows, dash-prefixes of a matrix, globs; none: every step of the file.
        only: leave out what is upstream.
    Raises:
        UsageError: a name means nothing, or two things.
        ProjectFileError: the steps need each other in a circle.
    """
    named: dict[str, None] = {}
    workflows = []
    words = list(names)
    if not words:
        named = dict.fromkeys(graph.steps)
    for word in words:
        if word in graph.steps:
            named |= dict.fromkeys(graph.names.matching(word))
        elif word in project.spec.workflows:
            workflows.append(word)
            for item in project.spec.workflows[word]:
                named |= dict.fromkeys(graph.names.matching(item))
        else:
            found = graph.names.matching(word)
            if not found and not _means_something(project, graph.names, word):
                options = [*project.spec.workflows, *_beginnings(graph.steps), *graph.steps]
                raise UsageError(f"There is no step or workflow '{word}'.", fix=did_you_mean(word, options))
            named |= dict.fromkeys(found)
    listed = list(named)
    order = tuple(listed) if only else _ordered(project, graph, listed)
    return Selection(order=order, named=frozenset(named), workflows=tuple(workflows))


def _beginnings(names: Iterable[str]) -> list[str]:
    """What can be said for several steps at once: `train`, `train-frozen` for `train-frozen-listener`."""
    cuts = ((name, at) for name in names for at, letter in enumerate(name) if letter == "-")
    return list(dict.fromkeys(name[:at] for name, at in cuts if at))


def _ordered(project: Project, graph: Graph, listed: list[str]) -> tuple[str, ...]:
    """Every step after those it needs, the listed order kept where that leaves a choice.

    In a file of weasel's vocabulary the listed order is kept whatever the deps say; only steps that are not
    listed are put in where they are first needed, and a circle is no fault.
    """
    keep, upstream = frozenset[str](), graph.upstream
    if project.spec.weasel_only:
        keep, upstream = frozenset(listed), _without_circles(project, upstream)
    done: dict[str, None] = {}
    for name in listed:
        circle = _visit(upstream, name, keep, done)
        if circle:
            fix = "Take a dep or a 'wait_for' away, or let a step write to another path."
            raise _circle_fault(project, graph, circle, fix)
    return tuple(done)


def _circle_fault(project: Project, graph: Graph, circle: list[str], fix: str) -> ProjectFileError:
    return ProjectFileError(
        f"These steps need each other in a circle: {' → '.join(circle)}.",
        where=f"{project.spec.file_name}:{graph.steps[circle[0]].line}",
        fix=fix,
    )


def _without_circles(project: Project, upstream: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """The edges less those that close a circle: there a step reads what a later one left in the run before.

    Later is what a workflow with all steps of the circle has later, else what the file has later.
    """
    try:
        graphlib.TopologicalSorter(upstream).prepare()
    except graphlib.CycleError:
        kept = dict(upstream)
        for circle in _circles(upstream):
            place = {name: index for index, name in enumerate(_order_in(project, circle))}
            for name in circle:
                kept[name] = tuple(up for up in upstream[name] if up not in circle or place[up] < place[name])
        return kept
    return upstream


def _circles(upstream: Mapping[str, tuple[str, ...]]) -> set[frozenset[str]]:
    """The largest sets of steps that all need each other, directly or not."""
    needs = {name: all_needed(upstream, name) for name in upstream}
    return {
        frozenset(other for other in needs[name] if name in needs[other]) for name in upstream if name in needs[name]
    }


def _order_in(project: Project, circle: frozenset[str]) -> list[str]:
    names = Names(project.steps)
    for words in project.spec.workflows.values():
        listed = [name for word in words for name in names.matching(word)]
        if circle.issubset(listed):
            return list(dict.fromkeys(listed))
    return [step.name for step in project.steps]


def all_needed(upstream: Mapping[str, Sequence[str]], *names: str) -> set[str]:
    """The steps that some need, directly or not; those themselves only where another of them, or a circle, does."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        for needed in upstream.get(pending.pop(), ()):
            if needed not in found:
                found.add(needed)
                pending.append(needed)
    return found


def all_below(graph: Graph, names: Iterable[str]) -> list[str]:
    """The steps that need one of `names`, directly or not, in the file's order."""
    below: dict[str, list[str]] = {}
    for name, needed in graph.upstream.items():
        for other in needed:
            below.setdefault(other, []).append(name)
    return sorted(all_needed(below, *names), key=graph.names.rank.__getitem__)


def _visit(
    upstream: Mapping[str, tuple[str, ...]], start: str, keep: frozenset[str], done: dict[str, None]
) -> list[str] | None:
    """Put `start`, and what it needs before it, into `done`; or give the circle that stands against it.

    Steps of `keep` have a place of their own, and are not put in where they are needed.
    Depth first without recursion, so that a chain of thousands of steps is no trouble.
    """
    path: list[str] = []
    on_path: set[str] = set()
    stack: list[tuple[str, bool]] = [(start, False)]
    while stack:
        name, leaving = stack.pop()
        if leaving:
            on_path.discard(path.pop())
            done[name] = None
            continue
        if name in done:
            continue
        if name in on_path:
            return [name, *reversed(path[path.index(name) :])]
        path.append(name)
        on_path.add(name)
        stack.append((name, True))
        stack += [(needed, False) for needed in reversed(upstream[name]) if needed not in keep or needed == start]
    return None


def refuse_overlaps(project: Project, graph: Graph, order: Iterable[str]) -> None:
    """Refuse what a parallel run can't order: two writers, nested outputs, a dep that is the step's own, a circle."""
    faults = Faults(project.spec.file_name)
    chosen = [graph.steps[name] for name in order]
    writers = Writers(chosen)
    for index, step in enumerate(chosen):
        place = Place(step.line, 1)
        if _reads_itself(step):
            faults.add(place, f"'{step.name}' reads what it writes, which has no place in a parallel run.")
        for path in step.all_outputs:
            for other in sorted(writers.of(path) - {index}):
                faults.add(
                    place,
                    f"'{step.name}' and '{chosen[other].name}' both write '{path}', or inside it.",
                    "Run them without -j, or give each its own path.",
                )
    faults.raise_any()
    _refuse_circles(project, graph, [step.name for step in chosen])


def _refuse_circles(project: Project, graph: Graph, names: list[str]) -> None:
    """Side by side, steps in a circle would wait for each other for ever."""
    chosen = frozenset(names)
    try:
        graphlib.TopologicalSorter(
            {name: [needed for needed in graph.upstream[name] if needed in chosen] for name in names}
        ).prepare()
    except graphlib.CycleError as error:
        fix = "Run them without -j, one after another, or let a step write to another path."
        raise _circle_fault(project, graph, error.args[1], fix) from error
