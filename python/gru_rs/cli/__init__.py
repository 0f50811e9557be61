"""The command line, `gru-rs`; it needs the extra ``gru-rs[cli]``."""

import sys


def main() -> None:
    """Run `gru-rs`, or say what is missing; mistakes of users end with a sentence, not with a traceback."""
    try:
        from . import _bridge, _commands, _tables
    except ModuleNotFoundError as error:
        sys.exit(f"gru-rs: {error.name} is not installed: pip install 'gru-rs[cli]'")
    _bridge.add_to(_commands.app)
    try:
        _commands.app()
    except (
        _tables.DataError,
        ValueError,
        TypeError,
        ArithmeticError,
        OSError,
        MemoryError,
        ImportError,
    ) as error:
        told = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            told = f"{error.filename}: {error.strerror}"
        _commands.err.print(f"gru-rs: {told}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, _tables.UsageError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
