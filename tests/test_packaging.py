"""What users install: the built wheel and the editable tree, their metadata, and the locks."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADAPTERS = sorted(path.parent.name for path in (ROOT / "adapters").glob("*/__init__.py"))
PACKAGES = ["agentrm_plugins", *ADAPTERS]
EXTRAS = {
    *("langchain", "langgraph", "agents", "openai", "cli", "testing", "cassettes"),
    *("report", "dash", "top", "quickstart", "redis", "prometheus", "otel", "all"),
}
# Imports every package and tells where each was found, and whether metadata and script are there.
PROBE = """
import importlib, importlib.metadata, sys
for name in sys.argv[1:]:
    print(name, importlib.import_module(name).__file__)
print("version", importlib.metadata.version("agentrm-plugins"))
[script] = importlib.metadata.entry_points(group="console_scripts", name="agentrm")
print("script", script.value)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """The output of a command without network settings; its errors are shown when it fails."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["PIP_NO_INDEX"] = "1"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution as a packager would."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture
def fresh_python(tmp_path: Path) -> Path:
    """A new virtual environment that sees this one's packages, but nothing installed editable."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path)
    Path(site.strip(), "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def install(python: Path, *what: str | Path) -> None:
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--quiet")
    run(*pip, "--no-build-isolation", *what, cwd=python.parent)


def probe(python: Path, cwd: Path) -> dict[str, str]:
    lines = run(python, "-I", "-c", PROBE, *PACKAGES, cwd=cwd).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_wheel_holds_all_packages_and_data(wheel: Path) -> None:
    """Core and adapters lie at top level with every file of theirs: py.typed, data, templates."""
    assert wheel.name == f"agentrm_plugins-{PROJECT['version']}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    roots = [(ROOT, "agentrm_plugins"), *((ROOT / "adapters", name) for name in ADAPTERS)]
    expected = {
        path.relative_to(root).as_posix()
        for root, package in roots
        for path in (root / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and "tests" not in path.parts[-3:]
    }
    assert "agentrm_plugins/py.typed" in expected
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == expected
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)


def test_wheel_needs_only_what_the_readme_says(wheel: Path) -> None:
    """Without an extra, three small requirements are installed; each extra of the README exists."""
    archive = zipfile.ZipFile(wheel)
    [metadata_name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
    metadata = email.message_from_string(archive.read(metadata_name).decode())
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    core = {item.name for item in requirements if item.marker is None}
    assert core == {"http-sf", "tenacity", "tiktoken"}
    assert set(metadata.get_all("Provides-Extra", [])) == EXTRAS
    assert metadata["Requires-Python"] == "<3.14,>=3.11"


def test_wheel_installs_and_imports(wheel: Path, fresh_python: Path, tmp_path: Path) -> None:
    """The installed wheel imports from its own site-packages, with its version and command."""
    install(fresh_python, wheel)
    found = probe(fresh_python, tmp_path)
    assert found.pop("version") == PROJECT["version"]
    assert found.pop("script") == PROJECT["scripts"]["agentrm"]
    assert all(Path(place).is_relative_to(tmp_path / "venv") for place in found.values()), found


def test_editable_install_imports_this_tree(fresh_python: Path, tmp_path: Path) -> None:
    """An editable install imports core and adapters from where their sources lie."""
    install(fresh_python, "--editable", ROOT)
    found = probe(fresh_python, tmp_path)
    assert found.pop("version") == PROJECT["version"]
    del found["script"]
    assert all(Path(place).is_relative_to(ROOT) for place in found.values()), found


@pytest.mark.parametrize("name", ["dev.txt", "lowest.txt", "bench.txt"])
def test_locks_are_exact_and_name_no_index(name: str) -> None:
    """A lock is a list of exact versions: any index may serve it, none is written in it."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    assert len(lines) > 40
    inexact = [line for line in lines if not re.match(r"[a-z0-9._-]+==[\w.]+( ; .+)?$", line)]
    assert not inexact


def test_lowest_lock_holds_the_lower_ends_of_our_ranges() -> None:
    """What `make test-lowest` runs on is what pyproject.toml promises to support."""
    text = (ROOT / "requirements" / "lowest.txt").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9._-]+)==([\w.]+)", text, re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + [
        # "top" has a lock of its own kind: textual wants a newer rich than the other commands need.
        line
        for name in EXTRAS - {"agents", "quickstart", "all", "top"}
        for line in extras[name]
    ]
    promised = [item for item in map(Requirement, lines) if item.name != "agentrm-plugins"]
    assert len(promised) > 8
    for item in promised:
        [lower] = [spec.version for spec in item.specifier if spec.operator == ">="]
        name = canonicalize_name(item.name)
        assert Requirement(f"{name}=={lower}").specifier.contains(locked[name]), (
            item,
            locked[name],
        )


def test_the_demo_takes_the_same_versions_from_a_lock_of_its_own() -> None:
    """What `make demo` installs is a part of what the developers have, in the same versions."""

    def locked(name: str) -> set[str]:
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        return {line.partition(";")[0].strip() for line in text.splitlines() if line}

    demo, all_of_it = locked("quickstart"), locked("dev")
    assert demo <= all_of_it
    assert len(demo) < len(all_of_it) / 2
    names = {canonicalize_name(line.partition("==")[0]) for line in demo}
    assert {"hatchling", "langchain-openai", "langgraph", "openai", "plotly", "rich"} <= names
