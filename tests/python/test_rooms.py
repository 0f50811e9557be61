"""Who may import whom among the estimators: no circles, not even within functions; and no file is long."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "python" / "gru_rs" / "estimators"
MOST_OF_A_FILE, MOST_OF_A_FUNCTION = 400, 60
pytestmark = pytest.mark.skipif(not ROOM.exists(), reason="no checkout")


def files():
    return {path.stem: path.read_text("utf-8") for path in sorted(ROOM.glob("*.py"))}


def imports(text):
    """The files of the room that one names, for types or at any depth."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            full = f"{'gru_rs.estimators.' if node.level == 1 else ''}{node.module or ''}"
            names = [full, *(f"{full.rstrip('.')}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[2] for name in names if name.startswith("gru_rs.estimators."))


def code(lines):
    return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in lines)


def test_estimators_import_in_no_circle():
    texts = files()
    graph = {name: set(imports(text)) & texts.keys() for name, text in texts.items()}
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) == len(texts)
    assert graph["_supervised"] > {"_base", "_reader"}
    assert "__init__" in texts
    assert not any("import gru_rs.estimators" in text for text in texts.values())


def test_files_and_functions_are_small():
    for name, text in files().items():
        lines = text.splitlines()
        assert code(lines) <= MOST_OF_A_FILE, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                said = ast.get_docstring(node) is not None
                begin = node.body[0].end_lineno if said else node.lineno
                head = code(lines[node.lineno - 1 : node.body[0].lineno - 1]) if said else 0
                length = head + code(lines[begin if said else begin - 1 : node.end_lineno])
                assert length <= MOST_OF_A_FUNCTION, f"{name}.{node.name}"
