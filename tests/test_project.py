"""The house rules of the project: which way imports go, file sizes, docstrings, one version."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.extras import OTHER_LIBRARIES, RUNTIME_LIBRARIES, SERVER_LIBRARIES
from tests.support.paths import ROOT

SRC = ROOT / "src"

PACKAGE = SRC / "liftwild"
TESTS = ROOT / "tests"
ARCHITECTURE = ROOT / "docs" / "architecture.md"


def read_tiers() -> tuple[frozenset[str], ...]:
    """The rooms of each tier from the bottom up: the lines of the block ``tiers`` of docs/architecture.md."""
    blocks = re.findall(r"^```tiers\n(.*?)^```$", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"{ARCHITECTURE.relative_to(ROOT)} needs one block that starts with ```tiers"
    lines = (line.partition("#")[0].split() for line in blocks[0].splitlines())
    return tuple(frozenset(rooms) for rooms in lines if rooms)


# A room imports from its own tier and from those before it.
TIERS = read_tiers()
# Arrows that the tiers allow and the design does not: (importer, imported).
FORBIDDEN = (
    ("liftwild.inference", "liftwild.data"),
    ("liftwild.io", "liftwild.inference"),
    ("liftwild.viz", "liftwild.inference"),
    ("liftwild.synthetic", "liftwild.data.readers"),
)
# Methods of what a user holds (``recording.save``, ``pose.plot``) reach up when they are called: (importer, imported).
REACHES_UP = (
    ("liftwild.pose", "liftwild.kinematics"), ("liftwild.pose", "liftwild.io"), ("liftwild.pose", "liftwild.viz"),
    ("liftwild.kinematics.angles", "liftwild.io"), ("liftwild.kinematics.angles", "liftwild.viz"),
)  # fmt: skip
# Rooms that a plain install runs: nothing in them may need an extra when it is imported.
PLAIN = ("inference", "detection", "tracking", "placement", "kinematics", "media", "pipeline", "cli")
EXTRAS = RUNTIME_LIBRARIES | OTHER_LIBRARIES | SERVER_LIBRARIES
MAX_LINES = 350
# Names that are shared and must not be. Take one out once it is unique; add none.
CLASHES = {"decode"}
# Tests at the root of tests/ that are of the project as a whole; the others there are of one root-level module.
PROJECT_TESTS = {"test_cold_start", "test_project", "test_readme"}
# What docs/architecture.md names and does not exist yet: take it out once it does.
PLANNED: set[str] = set()
# Folders of tests/ that are of no room.
NO_ROOMS = {"scale", "interrupts", "support", "golden", "experiments", "benchmarks", "fuzz"}
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:home|mnt|opt|root|tmp|Users|work)/")


class Import(NamedTuple):
    """One imported name: ``target`` is the module it comes from; ``on_load`` if importing the file imports it."""

    target: str
    line: int
    on_load: bool


def module_name(path: Path) -> str:
    """liftwild.data.store of src/liftwild/data/store.py; a package's name of its __init__.py."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
each_module = pytest.mark.parametrize("module", FILES)


@cache
def tree_of(module: str) -> ast.Module:
    """The parsed source of a module."""
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def nodes(tree: ast.AST, on_load: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below ``tree``, and whether it runs when the file is imported."""
    for child in ast.iter_child_nodes(tree):
        in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        yield child, on_load
        yield from nodes(child, on_load and not in_function and not for_types)


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    """All imports of a module, also those inside functions, relative ones resolved."""
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for node, on_load in nodes(tree_of(module)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, on_load) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append(Import(inner if inner in FILES or base == "liftwild" else base, node.lineno, on_load))
    return tuple(found)


def is_below(module: str, package: str) -> bool:
    """Whether ``module`` is ``package`` or lies inside it."""
    return module == package or module.startswith(package + ".")


def tier_of(module: str) -> int:
    """Position of a module's room in TIERS."""
    room = module.split(".")[1]
    for tier, rooms in enumerate(TIERS):
        if room in rooms:
            return tier
    raise AssertionError(f"{module}: room {room!r} is in no tier; give it a place in TIERS and in the design")


@each_module
def test_imports_go_one_way(module: str) -> None:
    if module == "liftwild":
        pytest.skip("the public face names what lies below it")
    where, tier = FILES[module].relative_to(ROOT), tier_of(module)
    for target, line, on_load in imports_of(module):
        if not is_below(target, "liftwild") or target == "liftwild.__version__":
            continue
        if not on_load and any(module == one and is_below(target, other) for one, other in REACHES_UP):
            continue
        parts = target.split(".")
        owned = len(parts) > 1 and ".".join(parts[:2]) in FILES
        assert owned, f"{where}:{line}: import of {target}: name the module that owns what you need"
        assert tier_of(target) <= tier, f"{where}:{line}: {module} must not import {target}, a later room"
        for importer, imported in FORBIDDEN:
            assert not (is_below(module, importer) and is_below(target, imported)), (
                f"{where}:{line}: {importer} must not import {imported}"
            )


@each_module
def test_no_star_imports(module: str) -> None:
    stars = [
        node.lineno
        for node, _ in nodes(tree_of(module))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]
    assert not stars, f"{FILES[module].relative_to(ROOT)}: star import in line {stars[0]}"


def loaded_by(module: str) -> set[str]:
    """Names of all modules that importing ``module`` imports, directly or not, as the source has it."""
    loaded: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in loaded:
            continue
        loaded.add(name)
        if name in FILES:
            waiting += [found.target for found in imports_of(name) if found.on_load]
            if "." in name:
                waiting.append(name.rpartition(".")[0])
    return loaded


@pytest.mark.parametrize("module", [name for name in FILES if name.split(".")[1:2] in [[room] for room in PLAIN]])
def test_predicting_loads_without_extras(module: str) -> None:
    loaded = loaded_by(module)
    assert "liftwild.data.store" not in loaded, f"importing {module} imports liftwild.data.store"
    extras = sorted(name for name in loaded if name.split(".")[0] in EXTRAS)
    assert not extras, f"importing {module} imports {extras}, which a plain install lacks"


@each_module
def test_files_are_short(module: str) -> None:
    where, lines = FILES[module].relative_to(ROOT), len(FILES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{where} has {lines} lines, the limit is {MAX_LINES}"


@each_module
def test_no_module_is_named_like_one_of_python(module: str) -> None:
    names = set(module.split(".")[1:])
    if is_below(module, "liftwild.io"):
        names.remove("io")  # the one exception: the room of the file formats
    assert not names & sys.stdlib_module_names, f"{FILES[module].relative_to(ROOT)}: Python has a module of that name"


def test_public_names_are_unique() -> None:
    owners: dict[str, list[str]] = {}
    for module in FILES:
        for name in {name for name, _ in public_parts(tree_of(module)) if "." not in name}:
            owners.setdefault(name, []).append(module)
    shared = {name: modules for name, modules in owners.items() if len(modules) > 1}
    new = [f"{name}: {', '.join(shared[name])}" for name in sorted(shared.keys() - CLASHES)]
    assert not new, "one name, several public things:\n" + "\n".join(new)
    gone = sorted(CLASHES - shared.keys())
    assert not gone, f"unique now: take {', '.join(gone)} out of CLASHES"


def public_parts(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Public functions, classes and methods; overloads and setters are documented where they are first defined."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
        if decorators & {"overload", "setter"}:
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public_parts(node, f"{prefix}{node.name}.")


@each_module
def test_everything_public_has_a_docstring(module: str) -> None:
    tree = tree_of(module)
    parts = [("the module", tree), *public_parts(tree)]
    missing = [name for name, node in parts if not ast.get_docstring(node)]
    assert not missing, f"{FILES[module].relative_to(ROOT)}: no docstring on {', '.join(missing)}"


def test_importing_the_package_does_not_import_torch() -> None:
    code = "import sys, liftwild; sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def published_files() -> list[Path]:
    """Files under src and docs, and the README: those that git knows or would take, else all."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "src", "docs", "README.md"],
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        paths = [ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [*SRC.rglob("*"), *(ROOT / "docs").rglob("*"), ROOT / "README.md"]
    return [path for path in paths if path.is_file()]


def test_no_path_of_one_machine_is_published() -> None:
    faults = []
    for path in published_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # weights, pictures
        for number, line in enumerate(text.splitlines(), 1):
            if found := MACHINE_PATH.search(line):
                faults.append(f"{path.relative_to(ROOT)}:{number}: {found.group()}")
    assert not faults, "paths of one machine:\n" + "\n".join(faults)


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tree = tree_of("liftwild")
    versions = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]
    assert versions == [project["version"]], "pyproject.toml and liftwild.__version__ differ"
    cited = re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited == versions, "CITATION.cff has another version"


def test_the_page_of_the_architecture_names_what_is_there() -> None:
    rooms = {module.split(".")[1] for module in FILES if "." in module}
    assert frozenset().union(*TIERS) - rooms <= PLANNED, "a tier names a room that is not there"
    changes = ARCHITECTURE.read_text(encoding="utf-8").partition("## To change X, touch Y")[2]
    named = set(re.findall(r"`(\w[\w./]+)`", changes)) - PLANNED
    words = set(
        re.findall(r"\w+", "".join(path.read_text(encoding="utf-8") for path in (*FILES.values(), *TEST_FILES)))
    )
    for name in sorted(name for name in named if "NAME" not in name):
        if "/" in name or name.endswith((".py", ".md", ".toml", ".txt")):
            assert (ROOT / name).exists() or (PACKAGE / name).exists(), f"{name} is named and not there"
        elif name != "Makefile":
            assert set(name.split(".")) <= words, f"{name} is named, and no code has it"


TEST_FILES = sorted(TESTS.rglob("*.py"))


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_no_test_imports_a_test(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            modules = ["tests." if node.level else f"{node.module}.{alias.name}" for alias in node.names]
        else:
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            assert not is_below(module, "tests") or is_below(module, "tests.support"), (
                f"{path.relative_to(ROOT)}:{node.lineno}: import of {module}: what tests share lies in tests/support"
            )


def test_tests_mirror_the_package() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    folders = {path.relative_to(TESTS).parts[0] for path in TEST_FILES if path.parent != TESTS} - NO_ROOMS
    assert not folders - rooms, f"no room of src/liftwild has the tests {sorted(folders - rooms)}"
    modules = {f"test_{path.stem}" for path in PACKAGE.glob("*.py")} | PROJECT_TESTS
    others = sorted(path.name for path in TESTS.glob("test_*.py") if path.stem not in modules)
    assert not others, f"{others}: of no root-level module; a room's tests lie in its folder"
    assert all((TESTS / f"{name}.py").is_file() for name in PROJECT_TESTS)
