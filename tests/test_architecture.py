"""The shape of the code: floors, purity, public names, size; and each rule can fail."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "agentrm_plugins"
ADAPTERS = ROOT / "adapters"

# A file imports only from lower floors, or from its own package. The key is the first name below
# agentrm_plugins, or the first two where those stand on a floor of their own; "" is the front door,
# agentrm_plugins/__init__.py itself.
FLOORS = {
    "redaction": 0,
    "errors": 1,
    "types": 2,
    "config": 3,
    "counting": 4,
    "policy": 5,
    "context": 6,
    "kernel": 6,
    "context.stores": 7,
    "hosts": 7,
    "telemetry": 8,
    "sim": 7,
    "fleet": 8,
    "context.live": 8,
    "settings": 9,
    "manager": 10,
    "events": 11,
    "integration": 11,
    "": 12,
    "testing": 13,
    "demo": 14,
    "cli": 15,
}
PURE = ("config", "policy", "context", "kernel")
AT_WORK = ("context.live", "context.stores")  # not pure: threads, locks and files
IMPURE_MODULES = {
    *("asyncio", "concurrent", "contextvars", "datetime", "gc", "http", "io", "logging"),
    *("multiprocessing", "os", "pathlib", "queue", "random", "sched", "secrets", "select"),
    *("selectors", "signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading"),
    *("time", "urllib", "uuid", "warnings", "weakref"),
}
FRAMEWORKS = re.compile(r"(lang(chain|graph|smith)\w*|openai|anthropic|httpx2?)(\.|$)")
ADAPTER_PACKAGES = {"agentrm_langchain", "agentrm_langgraph", "agentrm_openai"}
PUBLIC_CORE = {
    "agentrm_plugins",
    "agentrm_plugins.integration",
}
# Of the library; tests, examples and benchmarks may be as long as `LONGER` says.
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
LONGER = 450, 60
MEDIAN_FILE_LINES, MOST_FUNCTIONS_LINES = 150, 20
# An adapter's front door, and the core's: that one is larger, for it has all that the documents
# name for users, so that nobody needs to know in which room a configuration or an error lives.
MAX_PUBLIC_NAMES = 15
MAX_CORE_NAMES = 60
# The adapter authors' door: what the three adapters here are made of, and nothing else. Its rooms
# hold what only some of them need.
MAX_INTEGRATION_NAMES = 35
MAX_ROOM_NAMES = 15
DOCUMENTED = {
    *("agentrm_plugins", "agentrm_plugins.events", "agentrm_plugins.integration"),
    "agentrm_plugins.telemetry",
    *("agentrm_plugins.testing.provider", "agentrm_plugins.testing.cassettes"),
    *ADAPTER_PACKAGES,
}
SECRET = re.compile(
    r"(?<![A-Za-z0-9])sk-(?:proj-|ant-)?[A-Za-z0-9_]{16,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36}"
    r"|AIza[0-9A-Za-z_-]{35}|-----BEGIN [A-Z ]*PRIVATE KEY"
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/[A-Za-z][\w.-]*/|[A-Z]:\\\\?Users")


def python_files(*folders: Path) -> list[Path]:
    return sorted(
        path
        for folder in folders
        for path in folder.rglob("*.py")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    )


def tracked_files() -> list[Path]:
    """The files that git would ship, or all of them where this is no clone."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:  # An unpacked source distribution.
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def module_name(path: Path, source_root: Path = ROOT) -> str:
    parts = path.relative_to(source_root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST, package: str = "") -> Iterator[tuple[int, str]]:
    """Each imported name with its line: `from a.b import c` gives `a.b.c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def package_of(path: Path, source_root: Path = ROOT) -> str:
    name = module_name(path, source_root)
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def section(name: str) -> str:
    """The key in FLOORS of a dotted name below agentrm_plugins; a front door's name is ""."""
    first = name.split(".")[1] if "." in name else ""
    second = ".".join(name.split(".")[1:3])
    if second in FLOORS:
        return second
    exists = (CORE / first).is_dir() or (CORE / f"{first}.py").is_file()
    return first if first and (exists or first in FLOORS) else ""


def floor_faults(source: str, name: str, package: str) -> list[str]:
    here = section(name)
    faults = []
    for line, target in imports(ast.parse(source), package):
        if target.partition(".")[0] != "agentrm_plugins":
            continue
        there = section(target)
        if here == there == "policy" and name != "agentrm_plugins.policy":
            if not_below(policy_package(target), policy_package(name)):
                faults.append(f"{name}:{line}: a policy imports its sibling {target}")
        elif here != there and FLOORS[there] >= FLOORS[here]:
            faults.append(f"{name}:{line}: floor {FLOORS[here]} imports {target}")
    return faults


def policy_package(name: str) -> str:
    """`order` of agentrm_plugins.policy.order.mlfq; "" of what lies beside the packages."""
    parts = name.split(".")[2:]
    return parts[0] if parts and (CORE / "policy" / parts[0]).is_dir() else ""


def not_below(target: str, own: str) -> bool:
    """No policy package imports another one; what lies beside them may be shared by all."""
    return target not in {"", own}


def purity_faults(source: str, name: str) -> list[str]:
    return [
        f"{name}:{line}: pure code imports {target}"
        for line, target in imports(ast.parse(source))
        if target.partition(".")[0] in IMPURE_MODULES
    ]


def adapter_faults(source: str, name: str, own: str) -> list[str]:
    """An adapter may import a name of the front door or of `integration`, and nothing below."""
    faults = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            top = module.partition(".")[0]
            private = top == "agentrm_plugins" and module not in PUBLIC_CORE
            if private or (top in ADAPTER_PACKAGES - {own} and "." in module):
                faults.append(f"{name}:{node.lineno}: {own} imports {module}")
    return faults


def size_faults(
    source: str, name: str, most: tuple[int, int] = (MAX_FILE_LINES, MAX_FUNCTION_LINES)
) -> list[str]:
    lines, (most_lines, most_of_function) = source.count("\n"), most
    faults = [f"{name}: {lines} lines"] if lines > most_lines else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > most_of_function:
                faults.append(f"{name}:{node.lineno}: {node.name} has {length} lines")
    return faults


def test_every_module_of_the_core_has_a_floor() -> None:
    """A new module or package of the core is given its floor in the table above."""
    found = {section_path.stem for section_path in CORE.glob("*.py")} - {"__init__", "__main__"}
    found |= {path.parent.name for path in CORE.glob("*/*.py")}
    assert found, "no code found: this test looks in the wrong place"
    assert not found - FLOORS.keys()


def test_files_import_only_from_lower_floors() -> None:
    """Dependencies point downwards, and no policy knows another."""
    faults = []
    for path in python_files(CORE):
        if path.name == "__main__.py":
            continue
        source = path.read_text(encoding="utf-8")
        faults += floor_faults(source, module_name(path), package_of(path))
    assert not faults, "\n".join(faults)


def test_policies_kernel_and_context_are_pure() -> None:
    """Time and chance come in as arguments; nothing there waits, logs or touches the machine."""
    faults = []
    for path in python_files(*(CORE / name for name in PURE)):
        if section(module_name(path)) in AT_WORK:
            continue
        faults += purity_faults(path.read_text(encoding="utf-8"), module_name(path))
    assert not faults, "\n".join(faults)


def test_core_imports_no_framework() -> None:
    """Who uses one framework need not install another; the demo alone drives real agents."""
    faults = []
    for path in python_files(CORE):
        if section(module_name(path)) in {"cli", "demo"}:
            continue
        for line, target in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if FRAMEWORKS.match(target):
                faults.append(f"{path.relative_to(ROOT)}:{line}: {target}")
    assert not faults, "\n".join(faults)


def test_adapters_use_public_names_only() -> None:
    """An adapter is what anybody could write with the names that we promise."""
    faults = []
    for path in python_files(ADAPTERS):
        relative = path.relative_to(ADAPTERS)
        if "tests" not in relative.parts:
            source = path.read_text(encoding="utf-8")
            faults += adapter_faults(source, str(relative), relative.parts[0])
    assert not faults, "\n".join(faults)


def test_files_and_functions_stay_small() -> None:
    """A file of the library has at most 400 lines and a function 50; others 450 and 60."""
    faults = []
    for path in python_files(CORE, ADAPTERS):
        faults += size_faults(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    for path in python_files(*(ROOT / name for name in ("tests", "examples", "benchmarks"))):
        faults += size_faults(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)), LONGER)
    assert not faults, "\n".join(faults)


def test_most_files_and_functions_are_far_smaller() -> None:
    """Half of the library's files have at most 150 lines, and nine functions of ten 20."""
    sources = [path.read_text(encoding="utf-8") for path in python_files(CORE, ADAPTERS)]
    assert median(source.count("\n") for source in sources) <= MEDIAN_FILE_LINES
    lengths = sorted(
        (node.end_lineno or node.lineno) - node.lineno + 1
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[int(0.9 * len(lengths))] <= MOST_FUNCTIONS_LINES


def test_every_module_has_a_docstring() -> None:
    """Each file of the library opens with what it is for."""
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files(CORE, ADAPTERS)
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


@pytest.mark.lowest
@pytest.mark.parametrize("package", ["agentrm_plugins", *sorted(ADAPTER_PACKAGES)])
def test_front_doors_are_small_sorted_and_real(package: str) -> None:
    """`__all__` names a few things once (ruff sorts them); each exists and has a docstring."""
    if package in ADAPTER_PACKAGES and not (ADAPTERS / package).is_dir():
        pytest.skip(f"{package} is not part of this tree")
    module = importlib.import_module(package)
    names = module.__all__
    assert len(set(names)) == len(names)
    most = MAX_PUBLIC_NAMES if package in ADAPTER_PACKAGES else MAX_CORE_NAMES
    assert 0 < len(names) <= most
    undocumented, missed = [], []
    for name in names:
        try:
            undocumented += [] if getattr(module, name).__doc__ else [name]
        except ImportError as error:  # one that needs an extra, which the message must name
            missed.append(name)
            missing = importlib.util.find_spec(str(error.name).partition(".")[0]) is None
            if not missing or "pip install 'agentrm-plugins[" not in str(error):
                raise
    assert not undocumented
    offered = dir(module)
    assert offered == sorted(offered)
    assert set(names) - set(offered) == set(missed), "a completion offers what can be had"
    assert not set(offered) - set(names), "and nothing else"


def test_the_adapter_authors_door_is_counted_and_used() -> None:
    """Each of its names, and of those in its rooms, is used by an adapter here."""
    door = importlib.import_module("agentrm_plugins.integration")
    names = door.__all__
    assert len(set(names)) == len(names) <= MAX_INTEGRATION_NAMES
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in python_files(ADAPTERS)]
    used = {
        target.rpartition(".")[2]
        for tree in trees
        for _, target in imports(tree)
        if target.startswith("agentrm_plugins.integration.")
    }
    assert not set(names) - used, "nobody uses it"
    rooms = {name for name in names if isinstance(getattr(door, name), ModuleType)}
    entered = {
        (node.value.id, node.attr)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    for room in rooms:
        held = getattr(door, room).__all__
        assert len(set(held)) == len(held) <= MAX_ROOM_NAMES
        assert not set(held) & set(names), "it has one place"
        assert set(held) == {name for where, name in entered if where == room}


def test_documents_name_the_front_doors_only() -> None:
    """What README, docs and examples import is public; the design page alone looks behind it."""
    faults = []
    documents = [
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *python_files(ROOT / "examples"),
    ]
    for path in documents:
        if path.name == "design.md":
            continue
        text = path.read_text(encoding="utf-8")
        for found in re.finditer(r"^ *(?:from|import) (agentrm_[\w.]+)", text, re.MULTILINE):
            if found[1] not in DOCUMENTED:
                faults.append(f"{path.relative_to(ROOT)}: {found[1]}")
    assert not faults, "\n".join(faults)


def test_users_see_what_is_theirs() -> None:
    """What only adapters need is not among the names that an editor offers for the facade."""
    from agentrm_plugins import AgentRM

    with AgentRM() as rm:
        offered = {name for name in dir(rm) if not name.startswith("_")}
    assert offered == {
        "drain",
        "update",
        *("aclose", "close", "closed", "config", "end_agent", "events", "identity"),
        *("from_config", "on_abandoned", "settings", "slot", "statistics", "story"),
    }
    with AgentRM(lanes=1) as rm, rm.slot(agent="ada") as lease:
        offered = {name for name in dir(lease) if not name.startswith("_")}
    assert offered == {
        *("beat", "call", "fail", "granted_at_s", "idle", "on_reap", "raise_if_reaped"),
        *("reap_cause", "reaped", "settle", "ticket", "waited_s"),
    }


def test_no_secret_and_no_machine_path_is_tracked() -> None:
    """Nothing that looks like a key, nor a path of somebody's machine, is in the repository."""
    files = tracked_files()
    assert ROOT / "pyproject.toml" in files
    faults = []
    for path in files:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for pattern in (SECRET, MACHINE_PATH):
            for match in pattern.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                faults.append(f"{path.relative_to(ROOT)}:{line}: {match[0][:12]}...")
    assert not faults, "\n".join(faults)


def test_rules_catch_planted_faults() -> None:
    """Each rule is able to fail: a planted fault is named with its file and line."""
    name, package = "agentrm_plugins.policy.order.fifo", "agentrm_plugins.policy.order"
    upward = floor_faults("from agentrm_plugins.hosts import clock", name, package)
    assert upward == [f"{name}:1: floor 5 imports agentrm_plugins.hosts.clock"]
    assert floor_faults("from ...kernel import kernel", name, package)
    assert floor_faults("from agentrm_plugins import AgentRM", name, package)
    assert "sibling" in floor_faults("from ..endpoint import rate_search", name, package)[0]
    assert not floor_faults("from . import mlfq", name, package)
    assert not floor_faults("from agentrm_plugins.errors import ConfigError", name, package)
    assert purity_faults("def f():\n    from time import monotonic", name)
    assert adapter_faults("import agentrm_plugins.kernel.kernel", "x.py", "agentrm_openai")
    assert adapter_faults("from agentrm_langchain.handler import a", "x.py", "agentrm_openai")
    assert not adapter_faults("from agentrm_plugins import AgentRM", "x.py", "agentrm_openai")
    assert size_faults("\n" * (MAX_FILE_LINES + 1), name)
    assert size_faults("def f():\n" + "    1\n" * MAX_FUNCTION_LINES, name)
    assert SECRET.search("s" + "k-" + "a1" * 10)
    assert MACHINE_PATH.search("/" + "home/somebody/x")
    assert FRAMEWORKS.match("langchain_core.messages")
    assert FRAMEWORKS.match("openai")
    assert not FRAMEWORKS.match("h11")
