"""Describe a project in Markdown, and keep the description between two markers of a README. Pure: text in, text out.

Sections that weasel and spaCy projects have made are replaced in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from frostline.runner.project.expand import Project
from frostline.runner.project.spec import Asset, CommandSpec, Spec

BEGIN = "<!-- project document: begin (made from project.yml; what is changed between these marks is lost) -->"
END = "<!-- project document: end -->"
SECTIONS = (
    (re.compile(r"<!-- project document: begin\b.*?-->", re.DOTALL), re.compile(r"<!-- project document: end -->")),
    *(
        (
            re.compile(rf"<!-- {tool}: AUTO-GENERATED DOCS START.*?-->", re.DOTALL),
            re.compile(rf"<!-- {tool}: AUTO-GENERATED DOCS END.*?-->", re.DOTALL),
        )
        for tool in ("WEASEL", "SPACY PROJECT")
    ),
)


def merged(readme: str, project: Project) -> str:
    """A README with the description in the place of the last one, or at the end."""
    for begin, end in SECTIONS:
        start = begin.search(readme)
        stop = end.search(readme, start.end()) if start else None
        if start and stop:
            before, after = readme[: start.start()], readme[stop.end() :]
            return before + section(project, has_title=_has_title(before + after)) + after
    text = section(project, has_title=_has_title(readme))
    return f"{readme.rstrip()}\n\n{text}\n" if readme.strip() else f"{text}\n"


def _has_title(text: str) -> bool:
    return re.search(r"^# ", text, re.MULTILINE) is not None


def section(project: Project, *, has_title: bool) -> str:
    """The description with its markers.

    Args:
        has_title: whether the file has a title of its own; then ours is left out.
    """
    spec = project.spec
    parts = [] if has_title else [f"# {spec.title.strip() or 'Project'}"]
    if spec.description.strip():
        parts.append(spec.description.strip())
    parts.append(f"## {spec.file_name}")
    parts.append(
        "The file says what the project is made of. `project run NAME` runs a command or a workflow, and what it"
        " needs, where something has changed; `project run NAME --dry` says what that would be, and why."
    )
    parts += _table("### Commands", ("command", "does"), _commands(project))
    parts += _table("### Workflows", ("workflow", "commands, in this order"), _workflows(spec))
    parts += _table("### Profiles", ("profile", "variables"), _profiles(spec))
    parts += _table("### Assets", ("file", "source", "what it is"), map(_asset, project.assets))
    return "\n\n".join([BEGIN, *parts, END])


def _table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A heading and a table; nothing where there are no rows."""
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    if not lines:
        return []
    return [
        heading,
        "\n".join(["| " + " | ".join(columns) + " |", "| " + " | ".join("---" for _ in columns) + " |", *lines]),
    ]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _commands(project: Project) -> list[tuple[str, str]]:
    """Each command as it is called; a matrix with its number of steps."""
    rows = []
    for command in project.spec.commands:
        if command.profiles and project.profile not in command.profiles:
            continue
        steps = [step for step in project.steps if step.line == command.place.line]
        cells = f" ({len(steps)} steps)" if command.matrix is not None else ""
        rows.append((f"`{_name(command)}`", str(command.help).strip() + cells))
    return rows


def _name(command: CommandSpec) -> str:
    """`train-${matrix.variant}` as `train-<variant>`."""
    name = re.sub(r"\$\{matrix\.([^}]*)\}", r"<\1>", command.name)
    if command.matrix is not None and "${matrix." not in command.name:
        name += "".join(f"-<{axis}>" for axis in command.matrix.axes)
    return name


def _workflows(spec: Spec) -> list[tuple[str, str]]:
    return [(f"`{name}`", " → ".join(f"`{word}`" for word in words)) for name, words in spec.workflows.items()]


def _profiles(spec: Spec) -> list[tuple[str, str]]:
    return [
        (f"`{name}`" + (" (default)" if name == spec.default_profile else ""), ", ".join(f"`{key}`" for key in values))
        for name, values in spec.profiles.items()
    ]


def _asset(asset: Asset) -> tuple[str, str, str]:
    """One asset: a link to where it comes from."""
    if asset.git is not None:
        place = f"git: {asset.git.repo}" + (f" ({asset.git.path})" if asset.git.path else "")
    elif asset.urls:
        url = asset.urls[0]
        place = (
            f"[{url.split('://')[1].split('/')[0]}]({url})" if url.startswith(("http://", "https://")) else f"`{url}`"
        )
    else:
        place = "brought by hand"
    return f"`{asset.dest}`", place, asset.description
