"""Random projects, random edits: exactly the right steps run again, and the bytes are those of a rebuild from nothing.

The model beside the runner knows contents where the runner knows digests. Commands are played in this process.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frostline.runner.planning.plan import Action
from frostline.runner.running.executors.base import Job
from frostline.runner.session import Session

from .played import run_played

Content = str | tuple[tuple[str, str], ...]  # of a file; of a folder: (name, text) of its files
Key = tuple[str, str, tuple[tuple[str, Content], ...]]  # command, output, what the deps hold


@dataclass(frozen=True)
class Link:
    """One step: it joins its deps, or writes a text whatever they hold, to a file or into a folder."""

    name: str
    kind: str  # join, fixed, folder
    text: str
    deps: tuple[str, ...]

    @property
    def output(self) -> str:
        return f"o{self.name.lstrip('rs')}"

    def command(self, value: str) -> str:
        return shlex.join(["play", self.kind, self.text.replace("VAR", value), self.output, *self.deps])


@dataclass(frozen=True)
class Scene:
    """The files that a user writes: a project and its sources."""

    links: tuple[Link, ...]
    sources: dict[str, str]
    value: str = "v"  # of the variable

    def project_yml(self) -> str:
        lines = [f"vars: {{x: {self.value}}}", "profiles: {only: {}}", "commands:"]
        for link in self.links:
            command = link.command("${vars.x}").replace("'", "")
            lines += [f"  - name: {link.name}", f"    script: ['{command}']", f"    deps: [{', '.join(link.deps)}]",
                      f"    outputs: [{link.output}]"]  # fmt: skip
        return "\n".join(lines) + "\n"

    def write(self, root: Path) -> None:
        (root / "project.yml").write_text(self.project_yml())
        for path in root.glob("s*"):
            path.unlink()
        for name, text in self.sources.items():
            (root / name).write_text(text)


def made(words: list[str], read: Callable[[str], Content]) -> Content:
    """What a command writes."""
    kind, text, output, *deps = words
    joined = "".join(f"[{content}]" for content in map(read, deps))
    if kind == "fixed":
        return f"<{text}>"
    if kind == "folder":
        return (("part", f"<{output} {text} {joined}>"), ("same", "same"))
    return f"<{output} {text} {joined}>"


def inside(files: dict[str, Content], path: str) -> Content:
    """What lies at a path, which may be in a folder that a step made."""
    if path in files:
        return files[path]
    folder, _, name = path.partition("/")
    return dict(files[folder])[name]  # type: ignore[arg-type]


def read(root: Path, path: str) -> Content:
    full = root / path
    if full.is_dir():
        return tuple(sorted((file.name, file.read_text()) for file in full.iterdir()))
    return full.read_text()


def play(job: Job) -> int:
    ((_, *words),) = job.commands
    content = made(list(words), lambda path: read(job.folder, path))
    target = job.folder / words[2]
    if isinstance(content, str):
        target.write_text(content)
    else:
        target.mkdir()
        for name, text in content:
            (target / name).write_text(text)
    return 0


@dataclass
class Model:
    """What the runner should know and do, by brute force over contents."""

    files: dict[str, Content] = field(default_factory=dict)
    records: dict[str, tuple[Key, Content]] = field(default_factory=dict)
    results: dict[Key, Content] = field(default_factory=dict)
    stored: set[Content] = field(default_factory=set)

    def run(self, scene: Scene, names: set[str]) -> tuple[list[str], list[str]]:
        """Bring steps and what they need up to date: (those that run, those that are restored)."""
        self.files |= scene.sources
        ran, restored = [], []
        for link in scene.links:
            if link.name not in names:
                continue
            deps = tuple((dep, inside(self.files, dep)) for dep in sorted(link.deps))
            key = (link.command(scene.value), link.output, deps)
            recorded = self.records.get(link.name)
            as_recorded = recorded is not None and recorded[0] == key
            if as_recorded and self.files.get(link.output) == recorded[1]:  # type: ignore[index]
                continue
            known = recorded[1] if as_recorded else None  # type: ignore[index]
            known = known if known in self.stored else self.results.get(key)
            if known is not None and known in self.stored:
                restored.append(link.name)
            else:
                words = shlex.split(key[0])[1:]
                known = made(words, lambda path: inside(self.files, path))
                ran.append(link.name)
                self.results[key] = known
            self.stored.add(known)
            self.files[link.output] = known
            self.records[link.name] = (key, known)
        there = {link.name for link in scene.links}
        self.records = {name: record for name, record in self.records.items() if name in there}
        return ran, restored

    def rebuilt(self, scene: Scene) -> dict[str, Content]:
        """All files as a rebuild from nothing makes them."""
        fresh = Model()
        fresh.run(scene, {link.name for link in scene.links})
        return fresh.files


def upstream(scene: Scene, names: set[str]) -> set[str]:
    """The steps that some steps need, themselves among them."""
    makers = {link.output: link for link in scene.links}
    found: set[str] = set()
    pending = set(names)
    while pending:
        found |= pending
        links = [link for link in scene.links if link.name in pending]
        pending = {
            makers[dep.split("/")[0]].name for link in links for dep in link.deps if dep.split("/")[0] in makers
        } - found
    return found


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    sources = {name: draw(st.sampled_from("ab")) for name in ("s0", "s1")}
    links: list[Link] = []
    for number in range(draw(st.integers(2, 5))):
        options = [*sources]
        for link in links:
            options.append(link.output)
            if link.kind == "folder":
                options.append(f"{link.output}/part")
        deps = draw(st.lists(st.sampled_from(options), min_size=1, max_size=3, unique=True))
        kept = [dep for dep in deps if dep.split("/")[0] not in deps or "/" not in dep]
        links.append(
            Link(
                f"s{number}",
                draw(st.sampled_from(["join", "join", "fixed", "folder"])),
                draw(st.sampled_from(["t", "VAR"])),
                tuple(kept),
            )
        )
    return Scene(tuple(links), sources)


EDITS = (
    "dep",
    "command",
    "variable",
    "remove output",
    "scribble",
    "rename file",
    "rename step",
    "lose store",
    "nothing",
)


@dataclass
class Playing:
    """A scene on disk, and the model of it."""

    root: Path
    scene: Scene
    model: Model = field(default_factory=Model)

    def edit(self, kind: str, number: int) -> None:
        """Change something, on disk and in the model."""
        scene, link = self.scene, self.scene.links[number % len(self.scene.links)]
        sources = list(scene.sources)
        source = sources[number % len(sources)]
        if kind == "dep":
            text = {"a": "b", "b": "c", "c": "a"}[scene.sources[source]]
            self.scene = replace(scene, sources={**scene.sources, source: text})
        elif kind == "command":
            self._relink(link, replace(link, text={"t": "u", "u": "t", "VAR": "t"}[link.text]))
        elif kind == "variable":
            self.scene = replace(scene, value={"v": "w", "w": "v"}[scene.value])
        elif kind in ("remove output", "scribble"):
            path = self.root / link.output
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            self.model.files.pop(link.output, None)
            if kind == "scribble":
                path.write_text("scribble")
                self.model.files[link.output] = "scribble"
        elif kind == "rename file":
            new = source + "x"
            texts = {new if name == source else name: text for name, text in scene.sources.items()}
            links = [replace(one, deps=tuple(new if dep == source else dep for dep in one.deps)) for one in scene.links]
            self.scene = replace(scene, links=tuple(links), sources=texts)
        elif kind == "rename step":
            self._relink(link, replace(link, name=f"r{link.name}"))
        elif kind == "lose store":
            shutil.rmtree(self.root / ".dvc/cache", ignore_errors=True)
            self.model.results.clear()
            self.model.stored.clear()
        self.scene.write(self.root)

    def _relink(self, old: Link, new: Link) -> None:
        self.scene = replace(self.scene, links=tuple(new if link == old else link for link in self.scene.links))

    def run(self, names: set[str], n_jobs: int | None) -> set[Action]:
        """Run both, and compare; what would be done in yet another run."""
        wanted = upstream(self.scene, names)
        expected = self.model.run(self.scene, wanted)

        tally = run_played(self.root, sorted(names), play, n_jobs=n_jobs).tally

        assert not tally.failed
        assert (sorted(tally.ran), sorted(tally.restored)) == tuple(map(sorted, expected))
        there = {path: content for path, content in self.model.files.items() if (self.root / path).exists()}
        assert {path: read(self.root, path) for path in there} == there
        fresh = self.model.rebuilt(self.scene)
        outputs = [link.output for link in self.scene.links if link.name in wanted]
        assert {path: read(self.root, path) for path in outputs} == {path: fresh[path] for path in outputs}
        session = Session(self.root)
        return {decision.action for decision in session.plan(session.select(sorted(names)))}


@settings(max_examples=40, deadline=None)
@given(
    scene=scenes(),
    edits=st.lists(
        st.tuples(st.sampled_from(EDITS), st.integers(0, 7), st.integers(0, 31), st.sampled_from([None, 3])),
        min_size=1,
        max_size=5,
    ),
)
def test_after_any_edit_exactly_the_right_steps_run_again(
    scene: Scene, edits: list[tuple[str, int, int, int | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    playing = Playing(tmp_path_factory.mktemp("scene"), scene)
    playing.scene.write(playing.root)
    assert playing.run({link.name for link in scene.links}, None) == {Action.SKIP}
    for kind, number, chosen, n_jobs in edits:
        playing.edit(kind, number)
        names = {link.name for bit, link in enumerate(playing.scene.links) if chosen >> bit & 1}

        assert playing.run(names or {playing.scene.links[-1].name}, n_jobs) == {Action.SKIP}
