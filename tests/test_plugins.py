"""Code of users, by `imports=[...]` and by installed packages: what takes part, and what is reported how."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from darts_pl import plugins
from darts_pl.bilevel.orders import ORDERS
from darts_pl.cli import main
from darts_pl.ops import ACTIVATIONS, CANDIDATES
from darts_pl.spaces.relaxation import RELAXATIONS
from darts_pl.tasks import TASKS
from tests.registrations import forgotten_after

SEARCH = ["data=digits", "search.layers=3", "search.init_channels=2", "search.nodes=1", "debug=true", "order=first"]


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test registers and imports is forgotten after it."""
    with forgotten_after(monkeypatch, (CANDIDATES, ACTIVATIONS), lambda name: name.startswith(("own_", "their_"))):
        yield


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Writes the module `own_code` into the working directory."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> Path:
        path = tmp_path / "own_code.py"
        path.write_text(text)
        importlib.invalidate_caches()
        return path

    return write


@pytest.fixture
def group(tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Writes a file of the group `relaxation`; returns the arguments that choose it."""

    def write(name: str, text: str) -> list[str]:
        (tmp_path / "groups" / "relaxation").mkdir(parents=True)
        (tmp_path / "groups" / "relaxation" / f"{name}.yaml").write_text(text)
        return ["--config-dir", "groups", "imports=[own_code]", f"relaxation={name}"]

    return write


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused in one line; returns it."""
    assert main([*arguments, "hydra.run.dir=refused"]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("import math\n1 / 0\n", 2, ["ZeroDivisionError: division by zero"]),
        ("def f(:\n", 1, ["SyntaxError: invalid syntax"]),
        ("import sys\n\nsys.exit(3)\n", 3, ["SystemExit: 3"]),
        ("import json\n\njson.loads('{')\n", 3, ["JSONDecodeError: "]),  # raised in a library
        ("import no_such_package\n", 1, ["ModuleNotFoundError: No module named 'no_such_package'"]),
        (
            "from darts_pl.ops import candidate\n\n\n"
            "@candidate('sep_conv_3x3')\ndef mine(channels, stride, affine): ...\n",
            4,
            ["'sep_conv_3x3'", "already taken by darts_pl.ops.candidates.sep_conv_3x3", "candidates.py:"],
        ),
        (
            "from darts_pl.ops import activation\n\n\n@activation('mine')\ndef mine(x):\n    return x.sum()\n",
            4,
            ["activation 'mine'", "must make [2, 3]"],
        ),
        (
            "from darts_pl.spaces.relaxation import RELAXATIONS\n\n\n@RELAXATIONS.register('mine', settings=dict)\n"
            "def mine(alphas): ...\n",
            4,
            ["relaxation 'mine'", "must be a dataclass"],
        ),
    ],
)
def test_what_a_module_of_the_user_does_wrong_is_one_line_with_its_file(
    text: str, line: int, words: list[str], module: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = module(text)
    message = refused(["imports=[own_code]", *SEARCH], capsys)
    assert f"{path}:{line}" in message or "dataclass" in message, message
    assert all(word in message for word in words), message


def test_an_operation_of_the_user_with_another_shape_is_one_line_with_its_file(
    module: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = module(
        "from torch import nn\nfrom darts_pl.ops import candidate\n\n\n@candidate('mine')\n"
        "def mine(channels, stride, affine):\n    return nn.Conv2d(channels, channels, 3)\n"
    )
    message = refused(["imports=[own_code]", *SEARCH, "search.candidates=[none,mine]"], capsys)
    assert f"operation 'mine' (own_code.mine ({path}:5))" in message
    assert "must make [2, 2, 8, 8]" in message


def test_a_component_of_the_user_that_raises_while_it_is_built_is_one_line_with_its_file(
    module: Callable[[str], Path], group: Callable[[str, str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path = module(
        "import json\nfrom darts_pl.spaces.relaxation import RELAXATIONS, Softmax\n\n\n"
        "@RELAXATIONS.register('mine')\nclass Mine(Softmax):\n    def __init__(self):\n"
        "        super().__init__()\n        self.table = read()\n\n\n"
        "def read():\n    return json.loads('{')\n"
    )
    message = refused([*group("mine", "name: mine\n"), *SEARCH], capsys)
    reason = "Expecting property name enclosed in double quotes"  # the innermost line of the user, not that of json
    assert message.startswith(f"error: relaxation 'mine' of {path}:13: JSONDecodeError: {reason}")


def test_a_component_of_the_user_that_lacks_a_method_is_one_line_with_the_place_of_its_definition(
    module: Callable[[str], Path], group: Callable[[str, str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    path = module(
        "from darts_pl.spaces.relaxation import RELAXATIONS, Relaxation\n\n\n"
        "@RELAXATIONS.register('mine')\nclass Mine(Relaxation):\n    pass\n"
    )
    message = refused([*group("mine", "name: mine\n"), *SEARCH], capsys)
    assert message.startswith(f"error: relaxation 'mine' of own_code.Mine ({path}:4): TypeError: Can't instantiate")
    assert "expected" in message


OWN_RELAXATION = """
from dataclasses import dataclass
from darts_pl.settings import above, setting
from darts_pl.spaces.relaxation import RELAXATIONS, Softmax

@dataclass(frozen=True, kw_only=True)
class WarmSettings:
    tau: float = setting("temperature", above(0))
    floor: float | None = setting("smallest weight")

@RELAXATIONS.register("warm", settings=WarmSettings)
class Warm(Softmax):
    def __init__(self, settings):
        super().__init__()
        self.tau, self.floor = settings.tau, settings.floor

    def expected(self, alphas, live):
        return super().expected(alphas / self.tau, live)
"""


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], None),
        (["relaxation.tau=0"], "relaxation.tau=0.0: must be above 0"),
        (["relaxation.tau=hot"], "relaxation.tau=hot: must be a number"),
        (["+relaxation.tua=1"], "unknown key relaxation.tua; did you mean relaxation.tau?"),
        (["relaxation.floor=0.1"], None),
        (["~relaxation.tau"], "relaxation.tau is missing; give relaxation.tau=..., or choose relaxation=warm"),
        (["relaxation.name=warmer"], "unknown relaxation 'warmer'; did you mean 'warm'? known: softmax, "),
    ],
)
def test_settings_of_a_component_of_the_user_are_checked_like_ours(
    given: list[str],
    words: str | None,
    module: Callable[[str], Path],
    group: Callable[[str, str], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    module(OWN_RELAXATION)
    command = [*group("warm", "name: warm\ntau: 5.0\nfloor: null\n"), *SEARCH, *given]
    if words is None:
        assert main([*command, "task=zoo", "hydra.run.dir=run"]) == 0
    else:
        assert words in refused(command, capsys)


THEIR_CODE = """
from darts_pl.tasks import TASKS
from darts_pl.tasks.declarations.registry import TaskSettings
from darts_pl.spaces.relaxation import RELAXATIONS, Softmax

class Sharp(Softmax):
    def expected(self, alphas, live):
        return super().expected(5 * alphas, live)

@TASKS.register("their_task", settings=TaskSettings)
def their_task(context):
    config = context.config
    summary = {"task": "their_task", "method": config.method, "relaxation": config.relaxation.name}
    context.folder.write_summary(summary)
    return summary

def register():
    RELAXATIONS.register("sharp")(Sharp)
"""
THEIR_FILES = {
    "relaxation/sharp.yaml": "name: sharp\n",
    "task/their_task.yaml": "name: their_task\nobjective: null\n",
    "method/theirs.yaml": (
        "# @package _global_\ndefaults:\n  - override /relaxation: sharp\n  - override /order: first\nmethod: theirs\n"
    ),
}


def install(site: Path, package: str, value: str, code: str, files: dict[str, str]) -> None:
    """A package as an installer would leave it in `site`: its folder and its metadata."""
    (site / package).mkdir(parents=True)
    (site / package / "__init__.py").write_text(code)
    for name, text in files.items():
        path = site / package / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = site / f"{package}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[{plugins.GROUP}]\n{package} = {value}\n")
    sys.path.insert(0, str(site))
    importlib.invalidate_caches()


def test_an_installed_package_brings_components_and_group_files(tmp_path: Path) -> None:
    install(tmp_path / "site", "their_package", "their_package:register", THEIR_CODE, THEIR_FILES)
    folder = tmp_path / "run"
    assert main(["task=their_task", "method=theirs", f"hydra.run.dir={folder}"]) == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == {"task": "their_task", "method": "theirs", "relaxation": "sharp"}
    assert main(["method=theirs", *SEARCH, f"hydra.run.dir={tmp_path / 'search'}"]) == 0
    assert (tmp_path / "search" / "genotype.json").is_file()


def test_a_part_that_the_command_line_names_wins_over_the_method_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    install(tmp_path / "site", "their_package", "their_package:register", THEIR_CODE, THEIR_FILES)
    for index, arguments in enumerate(
        [["method=theirs", "relaxation=softmax"], ["relaxation=softmax", "method=theirs"]]
    ):
        folder = tmp_path / str(index)
        assert main(["task=their_task", *arguments, f"hydra.run.dir={folder}"]) == 0
        assert json.loads((folder / "summary.json").read_text())["relaxation"] == "softmax"
        composed = (folder / ".hydra" / "config.yaml").read_text()
        assert "relaxation:\n  name: softmax\n" in composed
        assert "sharp" not in composed


def test_a_broken_plugin_is_named_in_one_line_and_the_others_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(tmp_path / "site", "their_package", "their_package:register", THEIR_CODE, THEIR_FILES)
    install(tmp_path / "broken", "their_broken", "their_broken", "import math\nraise ValueError('too new')\n", {})
    install(tmp_path / "absent", "their_absent", "their_absent.no_such_module", "", {})
    assert main(["task=their_task", f"hydra.run.dir={tmp_path / 'run'}"]) == 0
    lines = sorted(line for line in capsys.readouterr().err.splitlines() if "plugin" in line)
    assert len(lines) == 2
    assert "'their_absent' of their_absent 1.2" in lines[0]
    assert "No module named 'their_absent.no_such_module'" in lines[0]
    broken = tmp_path / "broken" / "their_broken" / "__init__.py"
    assert f"is not loaded: {broken}:2: ValueError: too new" in lines[1]
    assert "their_task" in TASKS
    assert "sharp" in RELAXATIONS
    assert set(ORDERS.list()) == {"first", "second", "second_exact", "neumann", "unrolled"}
