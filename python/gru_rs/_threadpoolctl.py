"""gru_rs among the libraries whose threads `threadpoolctl` limits. The only file that imports it.

It must not be needed: threadpoolctl is an option of the user's.
"""

from __future__ import annotations

import os
from abc import ABCMeta
from types import SimpleNamespace

from threadpoolctl import LibController, register

from . import _core


class Controller(LibController, metaclass=ABCMeta):  # type: ignore[misc]
    """Reads and sets the number of threads of calls, as `get_num_threads` and `set_num_threads` do."""

    user_api = "gru_rs"
    internal_api = "gru_rs"
    filename_prefixes = ("_core",)
    # Not of the library: its name is common, so `dynlib` says whether the file is ours.
    check_symbols = ("is_gru_rs",)

    def get_num_threads(self) -> int:
        """Threads that a large call may use."""
        return _core.num_threads()

    def set_num_threads(self, num_threads: int) -> None:
        """Set their number. All of 1 to 1024 are allowed; threadpoolctl asks for no more than there were."""
        _core.set_num_threads(num_threads)

    def get_version(self) -> str:
        """The package's version."""
        return _core.__version__

    def set_additional_attributes(self) -> None:
        """Tell our extension from others of that name, and say what it runs on."""
        self.dynlib = (
            SimpleNamespace(is_gru_rs=True) if self.filepath == os.path.realpath(_core.__file__) else None
        )
        self.architecture = _core.isa()


register(Controller)
