"""The digests of a user's own code: its files, and the modules of their own that they import."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch  # noqa: F401  (before sys.modules is another one: it can't be loaded twice)

from frostline.config.user_code import code_of, fault_of_code, import_file


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A code file that imports a module beside it, and a package in which modules import each other."""
    files = {
        "mycode.py": "import os\nimport torch\nimport frostline.errors\nfrom beside_mycode import A\n"
        "def later():\n    import mypackage_of_code.inner\n",
        "beside_mycode.py": "A = 1\n",
        "mypackage_of_code/__init__.py": "",
        "mypackage_of_code/inner.py": "from . import leaf\nfrom .leaf import B\n",
        "mypackage_of_code/leaf.py": "B = 2\n",
        "mypackage_of_code/unused.py": "",
        "other.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", {**sys.modules})
    return tmp_path


def test_files_come_first_and_then_what_they_import(project: Path) -> None:
    files = [project / "other.py", project / "mycode.py"]
    for file in files:
        import_file(file)

    names = [name for name, _ in code_of(files)]

    assert names[:2] == ["other.py", "mycode.py"]
    assert {"beside_mycode.py", "__init__.py"} <= set(names)
    assert not {"unused.py", "os.py", "errors.py"} & set(names)
    assert [name for name, _ in code_of(files[::-1])][:2] == ["mycode.py", "other.py"]


def test_what_a_loaded_package_imports_by_relative_names_counts(project: Path) -> None:
    (project / "mycode.py").write_text("import mypackage_of_code.inner\n")
    import_file(project / "mycode.py")

    names = [name for name, _ in code_of([project / "mycode.py"])]

    assert sorted(names) == ["__init__.py", "inner.py", "leaf.py", "mycode.py"]


def test_what_is_imported_later_from_a_package_that_nobody_has_loaded_counts(project: Path) -> None:
    import_file(project / "mycode.py")
    before = code_of([project / "mycode.py"])
    (project / "mypackage_of_code" / "leaf.py").write_text("B = 3\n")

    after = code_of([project / "mycode.py"])

    assert [name for (name, old), (_, new) in zip(before, after, strict=True) if old != new] == ["leaf.py"]
    assert "mypackage_of_code" not in sys.modules


@pytest.mark.parametrize("changed", ["mycode.py", "beside_mycode.py"])
def test_contents_count_and_places_do_not(project: Path, changed: str) -> None:
    import_file(project / "mycode.py")
    before = code_of([project / "mycode.py"])
    moved = project.rename(project.with_name(f"{project.name}-moved"))
    (project / "beside_mycode.py").parent.mkdir()
    (project / "beside_mycode.py").write_bytes((moved / "beside_mycode.py").read_bytes())
    shutil.copytree(moved / "mypackage_of_code", project / "mypackage_of_code")
    assert code_of([moved / "mycode.py"]) == before

    place = moved if changed == "mycode.py" else project
    (place / changed).write_text((place / changed).read_text() + "# more\n")

    after = code_of([moved / "mycode.py"])
    assert [name for (name, old), (_, new) in zip(before, after, strict=True) if old != new] == [changed]


def raised_by(code: str, folder: Path) -> Exception:
    (folder / "failing.py").write_text(code)
    import_file(folder / "failing.py")
    with pytest.raises((ZeroDivisionError, ValueError)) as caught:
        sys.modules["frostline_code_failing"].fail()
    return caught.value


def test_the_fault_of_a_module_that_the_code_imports_is_told_by_its_own_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside_failing.py").write_text("def fail():\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    fault = fault_of_code(raised_by("from beside_failing import fail\n", tmp_path))

    assert fault is not None and fault.where == f"{tmp_path / 'beside_failing.py'}:2, in fail"


def test_what_others_raise_for_the_code_is_told_by_the_line_that_called_them(tmp_path: Path) -> None:
    fault = fault_of_code(raised_by("import json\ndef fail():\n    json.loads('{')\n", tmp_path))

    assert fault is not None and fault.where == f"{tmp_path / 'failing.py'}:3, in fail"
    assert "JSONDecodeError" in fault.message


def test_a_fault_in_which_the_code_had_no_part_is_not_told_as_its_own(tmp_path: Path) -> None:
    (tmp_path / "innocent.py").write_text("")
    import_file(tmp_path / "innocent.py")
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 / len([])

    assert fault_of_code(caught.value) is None
