"""The three fences of the house: floors, no heavy import on the runner's no-op path, small files and functions."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import frostline

SOURCE = Path(frostline.__file__).parent
MODULES = sorted(path for path in SOURCE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# From the ground up. A module may import its own package, or a lower floor.
FLOORS = (
    ("errors", "console", "files", "digest"),
    ("runner", "tokens", "config", "evaluation"),
    ("layers", "corpora", "vectors"),
    ("embedding",),
    ("components",),
    ("pipeline",),
    ("training",),
    ("distillation", "pretraining", "packaging", "report"),
    ("cli",),
)
# Within the runner, each room knows those before it.
RUNNER_ROOMS = ("project", "digests", "meaning", "keeping", "assets", "planning", "session", "running", "sharing")
RUNNER_ROOMS += ("upkeep", "proof", "furnishing", "cli")
FLOOR_OF = {package: number for number, packages in enumerate(FLOORS) for package in packages}
ONLY_THE_GROUND = ("runner", "report")  # these rooms meet the others through command lines and files

# The runner's no-op path loads none of these; the ML libraries may even be broken.
HEAVY = ("typer", "click", "pydantic", "torch", "thinc", "numpy", "ruamel", "dvc", "rich", "httpx", "transformers")
HEAVY += ("pyarrow", "jinja2", "matplotlib", "subprocess", "asyncio", "importlib.metadata", "multiprocessing")
ML = ("torch", "thinc", "numpy", "transformers", "tokenizers", "pyarrow", "safetensors", "huggingface_hub", "spacy")


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.lineno, node.module or ""
            if node.module == "frostline":
                yield from ((node.lineno, f"frostline.{alias.name}") for alias in node.names)


def room(dotted: str) -> str | None:
    """The package of frostline that a dotted name lies in."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "frostline" and len(parts) > 1 else None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_its_own_package_or_a_lower_floor(path: Path) -> None:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    own = parts[0]
    if own == "__init__":
        return  # the public face, which loads on first use
    wrong = []
    for line, dotted in imports(path):
        other = room(dotted)
        if other is None or other == own or other.startswith("__") or other not in FLOOR_OF:
            continue
        allowed = FLOOR_OF[other] == 0 if own in ONLY_THE_GROUND else FLOOR_OF[other] < FLOOR_OF[own]
        if own not in ONLY_THE_GROUND and other in ONLY_THE_GROUND:
            allowed = False
        if not allowed and not FLOOR_OF[own] == FLOOR_OF[other] == 0:
            wrong.append(f"line {line}: {own} imports {dotted}")
    assert wrong == []


@pytest.mark.parametrize("path", [path for path in MODULES if "runner" in path.parts], ids=name_of)
def test_a_room_of_the_runner_knows_those_before_it_only(path: Path) -> None:
    own = path.relative_to(SOURCE / "runner").with_suffix("").parts[0]
    if own == "__init__" or "shipped" in path.parts:
        return
    others = [(line, dotted.split(".")[2]) for line, dotted in imports(path) if dotted.startswith("frostline.runner.")]
    assert [other for other in others if RUNNER_ROOMS.index(other[1]) > RUNNER_ROOMS.index(own)] == []


@pytest.mark.parametrize("room", [room for room in RUNNER_ROOMS[:-1] if (SOURCE / "runner" / room).is_dir()])
def test_a_room_says_what_each_of_its_modules_is_for(room: str) -> None:
    folder = SOURCE / "runner" / room
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert [path.name for path in sorted(folder.glob("[a-z]*.py")) if path.name not in told] == []
    assert [name for name in re.findall(r"\b[a-z_]+\.py\b", told) if not (folder / name).exists()] == []


def test_every_package_stands_on_a_floor() -> None:
    packages = {path.stem if path.is_file() else path.name for path in SOURCE.iterdir()}
    packages -= {"__init__", "__pycache__", "py", "templates"}
    assert packages - set(FLOOR_OF) == set()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            n_lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert n_lines <= MAX_FUNCTION_LINES, f"{node.name} has {n_lines} lines"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [path for path in MODULES if path.stem in ("util", "utils", "common", "helpers", "misc")] == []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one step that is up to date."""
    root = tmp_path_factory.mktemp("finished")
    (root / "make.py").write_text("open('made.txt', 'w').write('x')")
    (root / "project.yml").write_text(
        "commands: [{name: make, script: [python make.py], deps: [make.py], outputs: [made.txt], requires: [torch]}]\n"
        "workflows: {all: [make]}\n"
    )
    done = run_python(f"{ENTRY}; dispatch(['run', 'all'])", root)
    assert done.returncode == 0, done.stderr
    return root


ENTRY = "from frostline.runner.cli.main import dispatch"


def run_python(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("words", [["run", "all"], ["status"], ["run", "all", "--dry", "--json"]], ids=" ".join)
def test_nothing_heavy_is_loaded_when_there_is_nothing_to_do(finished: Path, words: list[str]) -> None:
    program = (
        f"import sys; {ENTRY}; dispatch({words!r}); print('\\nLOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )

    done = run_python(program, finished)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_the_runner_runs_when_no_ml_library_can_be_imported(finished: Path) -> None:
    broken = f"import sys; sys.modules.update(dict.fromkeys({ML!r}))"

    done = run_python(f"{broken}; {ENTRY}; dispatch(['run', 'make', '--force'])", finished)

    assert done.returncode == 0, done.stderr
    assert "1 step ran" in done.stdout


def test_the_library_loads_no_runner() -> None:
    program = (
        "import sys, frostline.tokens, frostline.config; print([m for m in sys.modules if 'frostline.runner' in m])"
    )

    done = run_python(program, Path.cwd())

    assert done.stdout == "[]\n", done.stderr
