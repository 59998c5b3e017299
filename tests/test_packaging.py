"""The wheel that users install, built from this checkout."""

import configparser
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import darts_pl

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.slow


def build(kind: str, folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder], cwd=ROOT, check=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    with zipfile.ZipFile(build("wheel", tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


def test_the_wheel_is_named_after_the_packages_version(wheel):
    assert Path(wheel.filename).name == f"darts_pl-{darts_pl.__version__}-py3-none-any.whl"


def test_the_wheel_holds_every_module_and_the_type_marker(wheel):
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "darts_pl").rglob("*.py")}
    assert sources | {"darts_pl/py.typed"} <= set(wheel.namelist())


def test_the_wheel_holds_the_whole_configuration(wheel):
    configs = {f"darts_pl/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert "darts_pl/conf/config.yaml" in configs
    assert configs <= set(wheel.namelist())


def test_the_wheel_holds_the_table_of_nas_bench_201_with_its_licence(wheel):
    folder = "darts_pl/spaces/nasbench201"
    for name in ("table.npz", "table.LICENSE"):
        assert wheel.read(f"{folder}/{name}") == (ROOT / folder / name).read_bytes()


def test_the_wheel_holds_the_published_cells(wheel):
    assert wheel.read("darts_pl/zoo/cells.toml") == (ROOT / "darts_pl/zoo/cells.toml").read_bytes()


def test_the_wheel_installs_the_console_script(wheel):
    entries = configparser.ConfigParser()
    entries.read_string(wheel.read(f"darts_pl-{darts_pl.__version__}.dist-info/entry_points.txt").decode())
    assert entries["console_scripts"]["darts-pl"] == "darts_pl.cli:console"


def test_the_wheel_alone_composes_a_configuration(wheel, tmp_path):
    wheel.extractall(tmp_path / "installed")
    program = "import darts_pl.cli; assert 'installed' in darts_pl.cli.__file__; darts_pl.cli.console()"
    shown = subprocess.run(
        [sys.executable, "-c", program, "--cfg", "job"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    assert "init_channels:" in shown.stdout


def test_the_source_distribution_holds_what_building_and_testing_need(tmp_path):
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "run.py", "Makefile", "conf/config.yaml"} <= names
    assert {"tests/conftest.py", "tests/test_packaging.py", "benchmarks/__main__.py"} <= names
