"""The house rules of the package: who may import whom, no circles, small files; and the map of these tests.

The tables below are all there is to change when a room or a file is added. Each rule is a function of some
files that tells every fault as ``file:line: what is wrong``, and is shown faults in every form they can take.
Imports within functions count as any other. Those under ``TYPE_CHECKING`` count between rooms, since an
annotation, too, knows what it names; they make no circles between files, since nothing waits for them when a
file is loaded, and two files of a room may well speak of each other's types.
`tests/architecture/` is the same for the crate.
"""

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

# A room, and the rooms below it, which it may use. What is at the top of the package and in no other room is
# of the room "layers".
ROOMS = {
    "core": set(),
    "base": {"core"},
    "layers": {"base", "core"},
    "io": {"layers", "base", "core"},
    "estimators": {"io", "layers", "base", "core"},
    "torch": {"core"},
    "package": {"estimators", "io", "layers", "base", "core"},
    "cli": {"package", "estimators", "io", "layers", "base", "core"},
}
# Which files those are: by the first part of the path within the package.
FIRST = {
    "_core": "core",
    "_arrays": "base",
    "_checks": "base",
    "_files": "base",
    "_names": "base",
    "_words": "base",
    "io": "io",
    "estimators": "estimators",
    "torch": "torch",
    "__init__": "package",
    "_load": "package",
    "cli": "cli",
}
# What is not ours, and the files that may import it: patterns of paths within the package. Of two lists the
# first is of imports at the top, the second of those within functions, which wait until they are needed.
FOREIGN = {
    "sklearn": (["estimators/*"], ["estimators/*"]),
    "scipy": (["estimators/*"], ["estimators/*"]),
    "rapidfuzz": (["estimators/*"], ["estimators/*"]),
    "typer": (["cli/*"], ["cli/*"]),
    # rich itself asks a Comparison for its table.
    "rich": (["cli/*"], ["cli/*", "estimators/_comparison.py"]),
    "matplotlib": ([], ["estimators/_plots.py"]),
    "onnx": (["io/_onnx*.py"], ["io/_onnx*.py"]),
    "h5py": (["io/_hdf5.py"], ["io/_hdf5.py"]),
    # The command line sets engines beside gru_rs when it is asked to.
    "keras": ([], ["cli/*"]),
    "onnxruntime": ([], ["cli/*"]),
    "pandas": ([], ["estimators/_calendars.py"]),
    "polars": ([], ["estimators/_calendars.py"]),
    "pyarrow": ([], ["cli/_arrow.py", "estimators/_arrow.py"]),
    "torch": (["torch.py", "torch/*"], ["*"]),
}
LONGEST_FILE = 400  # lines that are neither blank nor comment nor docstring
LONGEST_FUNCTION = 60


class Source(NamedTuple):
    """A file, by its path within the package."""

    path: str
    text: str


class Import(NamedTuple):
    """What a file imports, by its whole name."""

    target: str
    line: int
    typing: bool  # under TYPE_CHECKING
    inner: bool  # within a function


# Reading ----------------------------------------------------------------------------------------------------


def module_of(path):
    """gru_rs.io._plain for io/_plain.py; a package for its __init__.py."""
    parts = path.removesuffix(".py").removesuffix(".pyi").split("/")
    return ".".join(["gru_rs", *(parts[:-1] if parts[-1] == "__init__" else parts)])


def room_of(path):
    """The room of a file."""
    return FIRST.get(path.removesuffix(".py").removesuffix(".pyi").split("/")[0], "layers")


def imports_of(source):
    """Everything that a file imports, wherever it stands."""
    module = module_of(source.path)
    package = module if source.path.endswith("__init__.py") else module.rpartition(".")[0]
    found, whole = [], {}

    def visit(node, typing, inner):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    found.append(Import(alias.name, child.lineno, typing, inner))
                    own = alias.name if alias.asname else alias.name.partition(".")[0]
                    whole[alias.asname or own] = own
            elif isinstance(child, ast.ImportFrom):
                base = package.split(".")[: len(package.split(".")) - child.level + 1] if child.level else []
                begin = ".".join([*base, *([child.module] if child.module else [])])
                found.extend(Import(f"{begin}.{a.name}", child.lineno, typing, inner) for a in child.names)
            elif isinstance(child, ast.Attribute) and (name := dotted(child)) is not None:
                first, _, rest = name.partition(".")
                if whole.get(first, "").partition(".")[0] == "gru_rs":
                    found.append(Import(f"{whole[first]}.{rest}", child.lineno, typing, inner))
            elif isinstance(child, ast.Call) and "import_module" in ast.dump(child.func) and child.args:
                name = child.args[0]
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    dots = len(name.value) - len(name.value.lstrip("."))
                    base = package.split(".")[: len(package.split(".")) - dots + 1] if dots else []
                    found.append(
                        Import(".".join([*base, name.value.lstrip(".")]), child.lineno, typing, inner)
                    )
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                visit(ast.Module(child.body, []), True, inner)
                visit(ast.Module(child.orelse, []), typing, inner)
            else:
                is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                visit(child, typing, inner or is_function)

    visit(ast.parse(source.text), False, False)
    return found


def dotted(node):
    """a.b.c of the attribute that it is; None of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)) is not None:
        return f"{before}.{node.attr}"
    return None


def exports_of(source):
    """What a file gives by names that it has from others, those that it imports when asked included."""
    given = {}
    for target, _, _, _ in imports_of(source):
        given[target.rpartition(".")[2]] = target
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, ast.Assign) and dotted(node.targets[0]) == "_LAZY":
            for name, (module, *_) in ast.literal_eval(node.value).items():
                given[name] = f"{module_of(source.path)}.{module}.{name}"
    return given


class Tree:
    """Files, and which of them an import means."""

    def __init__(self, sources):
        self.sources = sources
        self.files = {module_of(source.path): source for source in sources}
        doors = [source for source in sources if source.path.endswith("__init__.py")]
        self.exports = {module_of(source.path): exports_of(source) for source in doors}

    def file_of(self, target, depth=0):
        """The path of the file that defines what a whole name means; None of others' names."""
        parts = target.split(".")
        if parts[0] != "gru_rs":
            return None
        at = max((n for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in self.files), default=0)
        module, rest = ".".join(parts[:at]), parts[at:]
        given = self.exports.get(module, {}).get(rest[0]) if rest and depth < 9 else None
        if given is not None and given != target:
            return self.file_of(".".join([given, *rest[1:]]), depth + 1)
        if at < 2 and parts[1:2] and parts[1] in FIRST:  # the extension, or a room with no such file
            return f"{parts[1]}.py"
        return self.files[module].path if at else None

    def uses(self, source):
        """The imports of other files, and those files."""
        found = ((self.file_of(one.target), one) for one in imports_of(source))
        return [(path, one) for path, one in found if path not in (None, source.path)]


# The rules --------------------------------------------------------------------------------------------------


def upward(tree):
    """Imports of a room that is not below."""
    found = []
    for source in tree.sources:
        own = room_of(source.path)
        for path, one in tree.uses(source):
            other = room_of(path)
            if other != own and other not in ROOMS[own]:
                found.append(f"{source.path}:{one.line}: {own} must not import {other}: {one.target}")
    return found


def circles(tree):
    """Files that import each other as they run: the shortest circles, no two through one file."""
    uses = {}
    for source in tree.sources:
        own = uses.setdefault(source.path, {})
        # A door names what is behind it, and knows no more of it.
        for path, one in [] if source.path.endswith("__init__.py") else tree.uses(source):
            if not one.typing:
                own.setdefault(path, one.line)
    ways = [way for begin in sorted(uses) if (way := shortest(uses, begin))]
    found, told = [], set()
    for way in sorted(ways, key=len):
        if told.isdisjoint(way):
            told.update(way)
            line = uses[way[0]][[*way, way[0]][1]]
            found.append(f"{way[0]}:{line}: circle: {' -> '.join([*way, way[0]])}")
    return found


def shortest(uses, begin):
    """The shortest way from a file back to it; None if there is none."""
    ways, seen = [[begin]], set()
    while ways:
        longer = []
        for way in ways:
            for other in sorted(uses.get(way[-1], ())):
                if other == begin:
                    return way
                if other not in seen:
                    seen.add(other)
                    longer.append([*way, other])
        ways = longer
    return None


def foreign(tree):
    """Others' packages outside the files that may import them."""
    found = []
    for source in tree.sources:
        for target, line, typing, inner in imports_of(source):
            name = target.partition(".")[0]
            homes = FOREIGN.get(name, (["*"], ["*"]))[inner]
            if not typing and not any(Path(source.path).match(home) for home in homes):
                where = "within functions" if inner else "at the top"
                allowed = " ".join(homes) or "no file"
                found.append(f"{source.path}:{line}: {name} belongs, {where}, in {allowed}: {target}")
    return found


def docstrings(tree):
    """Files that do not begin with what they are for."""
    silent = [source for source in tree.sources if ast.get_docstring(ast.parse(source.text)) is None]
    return [f"{source.path}:1: does not open with what it is for" for source in silent]


def code_lines(text):
    """Numbers of the lines that are neither blank nor comment nor docstring."""
    silent = {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.ENCODING,
    }
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in silent:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            lines.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def long_files(tree):
    """Files that nobody reads at once."""
    counts = [(source.path, len(code_lines(source.text))) for source in tree.sources]
    return [
        f"{path}:1: {lines} lines of code, more than {LONGEST_FILE}"
        for path, lines in counts
        if lines > LONGEST_FILE
    ]


def long_functions(tree):
    """Functions that nobody reads at once."""
    found = []
    for source in tree.sources:
        code = code_lines(source.text)
        for node in ast.walk(ast.parse(source.text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = len(code.intersection(range(node.lineno, node.end_lineno + 1)))
                if lines > LONGEST_FUNCTION:
                    found.append(
                        f"{source.path}:{node.lineno}: {node.name} has {lines} lines of code, "
                        f"more than {LONGEST_FUNCTION}"
                    )
    return found


def unmapped(text, names):
    """Test files without a line of their own in the map, and lines without their file."""
    told = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    found = [f"{name}: has no line in README.md" for name in sorted(set(names) - set(told))]
    found += [f"{name}: is in README.md alone" for name in sorted(set(told) - set(names))]
    return found + [f"{name}: is twice in README.md" for name in sorted(set(told)) if told.count(name) > 1]


RULES = [upward, circles, foreign, docstrings, long_files, long_functions]


# The package as it is ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def package():
    """All files."""
    begin = ROOT / "python" / "gru_rs"
    paths = sorted(begin.rglob("*.py"))
    return Tree([Source(path.relative_to(begin).as_posix(), path.read_text("utf-8")) for path in paths])


def test_the_test_sees_the_package(package):
    assert len(package.sources) > 40
    assert sum(len(package.uses(source)) for source in package.sources) > 150
    assert package.file_of("gru_rs.GRU") == "_layers.py"
    assert package.file_of("gru_rs.from_torch") == "io/_torch.py"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package(package, rule):
    found = rule(package)
    assert not found, "\n".join(["", *found])


def test_the_map():
    here = Path(__file__).parent
    names = [path.name for path in here.glob("*.py")]
    found = unmapped((here / "README.md").read_text("utf-8"), names)
    assert not found, "\n".join(["", *found])


# Planted faults ---------------------------------------------------------------------------------------------

CLEAN = {
    "__init__.py": '"""All."""\nfrom typing import TYPE_CHECKING\nfrom ._layers import GRU\n'
    "if TYPE_CHECKING:\n    from .estimators import Tagger as Tagger\n"
    '_LAZY = {"Tagger": ("estimators", "sklearn"), "from_onnx": ("io._onnx", "onnx")}\n',
    "_arrays.py": '"""Arrays."""\nimport numpy as np\n',
    "_layers.py": '"""Layers."""\nfrom . import _core\nfrom ._arrays import as_array\nclass GRU: ...\n',
    "_model.py": '"""Models."""\nfrom ._layers import GRU\nclass Model: ...\n',
    "io/__init__.py": '"""Files."""\n',
    "io/_onnx.py": '"""ONNX."""\nimport onnx\nfrom .._layers import GRU\ndef from_onnx(): ...\n',
    "estimators/__init__.py": '"""Estimators."""\nfrom .tagger import Tagger\n',
    "estimators/tagger.py": '"""Tags."""\nfrom sklearn.base import clone\nfrom gru_rs._model import Model\n'
    "from gru_rs.io._onnx import from_onnx\n",
    "cli/__init__.py": '"""Commands."""\nimport typer\nimport gru_rs\nfrom gru_rs.estimators import Tagger\n'
    "def read():\n    import torch\n    return gru_rs.from_onnx\n",
    "torch.py": '"""PyTorch."""\nimport torch\nfrom . import _core\n',
}


def with_files(files):
    """The clean package with files more, or others."""
    return Tree([Source(path, text) for path, text in (CLEAN | files).items()])


def test_a_clean_package_passes():
    for rule in RULES:
        assert rule(with_files({})) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("from .io._onnx import from_onnx", "io: gru_rs.io._onnx.from_onnx"),
        ("from .io import _onnx", "io: gru_rs.io._onnx"),
        ("from . import estimators", "estimators: gru_rs.estimators"),
        ("from gru_rs.estimators.tagger import Tagger", "estimators: gru_rs.estimators.tagger.Tagger"),
        ("import gru_rs.cli", "cli: gru_rs.cli"),
        ("import gru_rs", "package: gru_rs"),
        ("from . import Tagger", "estimators: gru_rs.Tagger"),
        ("from gru_rs import from_onnx", "io: gru_rs.from_onnx"),
        ("def f():\n    from .estimators import Tagger", "estimators: gru_rs.estimators.Tagger"),
        ("class A:\n    def f(self):\n        from . import torch", "torch: gru_rs.torch"),
        ("if TYPE_CHECKING:\n    from .estimators import Tagger", "estimators: gru_rs.estimators.Tagger"),
        ("if typing.TYPE_CHECKING:\n    from .io import _onnx", "io: gru_rs.io._onnx"),
        ("try:\n    from .io import _onnx\nexcept ImportError: ...", "io: gru_rs.io._onnx"),
        ('import_module(".estimators", "gru_rs")', "estimators: gru_rs.estimators"),
    ],
)
def test_upward(line, expected):
    tree = with_files({"_layers.py": f'"""Layers."""\n{line}\n'})
    at = 2 + next(k for k, text in enumerate(line.split("\n")) if "import" in text)
    assert upward(tree) == [f"_layers.py:{at}: layers must not import {expected}"]


def test_upward_between_other_rooms():
    tree = with_files(
        {
            "_arrays.py": '"""Arrays."""\nfrom ._layers import GRU\n',
            "io/_onnx.py": '"""ONNX."""\nfrom ..estimators import Tagger\nfrom .. import cli\n',
            "estimators/tagger.py": '"""Tags."""\nimport gru_rs as all\nx = all.GRU\n',
            "torch.py": '"""PyTorch."""\nfrom ._arrays import as_array\n',
        }
    )
    assert upward(tree) == [
        "_arrays.py:2: base must not import layers: gru_rs._layers.GRU",
        "io/_onnx.py:2: io must not import estimators: gru_rs.estimators.Tagger",
        "io/_onnx.py:3: io must not import cli: gru_rs.cli",
        "estimators/tagger.py:2: estimators must not import package: gru_rs",
        "torch.py:2: torch must not import base: gru_rs._arrays.as_array",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "from ._model import Model",
        "from . import _model",
        "import gru_rs._model",
        "def f():\n    from ._model import Model",
        "def f():\n    from gru_rs import _model",
    ],
)
def test_circles_of_two(line):
    tree = with_files({"_layers.py": f'"""Layers."""\n{line}\n'})
    at = 2 + line.count("\n")
    assert circles(tree) == [f"_layers.py:{at}: circle: _layers.py -> _model.py -> _layers.py"]


def test_circles_by_a_door():
    door = {"estimators/__init__.py": '"""Estimators."""\nfrom ._a import A\nfrom .tagger import Tagger\n'}
    files = {
        "estimators/_a.py": '"""A."""\nfrom . import Tagger\nclass A: ...\n',
        "estimators/tagger.py": '"""Tags."""\nfrom ._a import A\nclass Tagger: ...\n',
    }
    expected = "estimators/_a.py:2: circle: estimators/_a.py -> estimators/tagger.py -> estimators/_a.py"
    assert circles(with_files(door | files)) == [expected]


def test_circles_of_three():
    names = ["_a", "_b", "_c"]
    files = {
        f"{name}.py": f'"""A."""\nfrom .{other} import X\n'
        for name, other in zip(names, ["_b", "_c", "_a"], strict=True)
    }
    assert circles(with_files(files)) == ["_a.py:2: circle: _a.py -> _b.py -> _c.py -> _a.py"]


def test_types_make_no_circles():
    line = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ._model import Model"
    assert circles(with_files({"_layers.py": f'"""Layers."""\n{line}\n'})) == []


@pytest.mark.parametrize(
    ("path", "line", "expected"),
    [
        ("_model.py", "import sklearn.base", "sklearn belongs, at the top, in estimators/*: sklearn.base"),
        (
            "_model.py",
            "from scipy import special",
            "scipy belongs, at the top, in estimators/*: scipy.special",
        ),
        (
            "cli/__init__.py",
            "def f():\n    from sklearn import base",
            "sklearn belongs, within functions, in estimators/*: sklearn.base",
        ),
        ("estimators/tagger.py", "import typer", "typer belongs, at the top, in cli/*: typer"),
        ("estimators/_comparison.py", "import rich", "rich belongs, at the top, in cli/*: rich"),
        ("_model.py", "import matplotlib", "matplotlib belongs, at the top, in no file: matplotlib"),
        ("io/_keras.py", "import onnx as o", "onnx belongs, at the top, in io/_onnx*.py: onnx"),
        (
            "io/_onnx_write.py",
            "def f():\n    import h5py",
            "h5py belongs, within functions, in io/_hdf5.py: h5py",
        ),
        (
            "_model.py",
            "def f():\n    import keras",
            "keras belongs, within functions, in cli/*: keras",
        ),
        ("io/_torch.py", "import torch", "torch belongs, at the top, in torch.py torch/*: torch"),
        (
            "_arrays.py",
            "try:\n    from torch import nn\nexcept ImportError: ...",
            "torch belongs, at the top, in torch.py torch/*: torch.nn",
        ),
    ],
)
def test_foreign(path, line, expected):
    at = 2 + next(k for k, text in enumerate(line.split("\n")) if "import" in text)
    assert foreign(with_files({path: f'"""A."""\n{line}\n'})) == [f"{path}:{at}: {expected}"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("_model.py", "if TYPE_CHECKING:\n    from sklearn.base import BaseEstimator"),
        ("io/_torch.py", "def f():\n    import torch"),
        ("io/_onnx_write.py", "import onnx"),
        ("torch/_call.py", "import torch"),
        ("estimators/_comparison.py", "def f():\n    import rich"),
        ("estimators/_plots.py", "def f():\n    from matplotlib.figure import Figure"),
    ],
)
def test_foreign_where_it_may_be(path, line):
    assert foreign(with_files({path: f'"""A."""\n{line}\n'})) == []


@pytest.mark.parametrize("text", ["import numpy\n", "# What it is for.\n", "x = 1\n'''Late.'''\n"])
def test_no_docstring(text):
    assert docstrings(with_files({"_model.py": text})) == ["_model.py:1: does not open with what it is for"]


def test_long_files():
    def long(lines):
        text = (
            '"""A file.\n\nOf many words.\n"""\n\n# A comment.\n'
            + "def f():\n    '''Does.\n    '''\n"
            + ("x = '''\ny\n'''\n\n" * lines)
        )
        return long_files(with_files({"_model.py": text}))

    assert long(133) == []
    assert long(134) == ["_model.py:1: 403 lines of code, more than 400"]


@pytest.mark.parametrize("head", ["def f():", "async def f():", "class A:\n  def f(self):"])
def test_long_functions(head):
    def long(lines):
        body = '"""Does.\n\n    Much.\n    """\n    # A comment.\n\n' + "    x = 1\n" * lines
        return long_functions(with_files({"_model.py": f'"""Models."""\n{head}\n    {body}'}))

    assert long(59) == []
    at = 2 + head.count("\n")
    assert long(60) == [f"_model.py:{at}: f has 61 lines of code, more than 60"]


def test_a_map_with_faults():
    text = "| file | holds |\n|---|---|\n| `a.py` | A |\n| `b.py` | B |\n| `b.py` | B |\n"
    assert unmapped(text, ["b.py", "c.py"]) == [
        "c.py: has no line in README.md",
        "a.py: is in README.md alone",
        "b.py: is twice in README.md",
    ]
