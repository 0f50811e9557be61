"""The version is stated once, in Cargo.toml: everything else is asked for it, or held to it here."""

import importlib.metadata
import re
from pathlib import Path

import gru_rs

ROOT = Path(__file__).parents[2]


def test_one_version():
    stated = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.M)[1]
    assert gru_rs.__version__ == stated
    assert importlib.metadata.version("gru-rs") == stated


def test_pyproject_states_none():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in text
    assert not re.search(r"^version\s*=", text, re.M)


def test_the_changelog_tells_of_it():
    """Under its own heading once released, and as what is to come before that."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = re.escape(gru_rs.__version__)
    released = re.search(rf"^## \[{version}\] - \d{{4}}-\d\d-\d\d$", text, re.M)
    assert released or re.search(rf"^## \[Unreleased\]\n\n.*\b{version}\b", text, re.M)
