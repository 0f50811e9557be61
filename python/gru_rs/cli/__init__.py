"""The command line, `gru-rs`; it needs the extra ``gru-rs[cli]``."""

import sys


def main() -> None:
    """Run `gru-rs`, or say what is missing."""
    try:
        from ._commands import run
    except ModuleNotFoundError as error:
        sys.exit(f"gru-rs: {error.name} is not installed: pip install 'gru-rs[cli]'")
    run()
