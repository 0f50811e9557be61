"""How many threads a large call may use. It must not know what a call does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from . import _core
from ._checks import as_size

if TYPE_CHECKING:
    from collections.abc import Iterator


def get_num_threads() -> int:
    """Threads that a large call may use.

    Returns
    -------
    int
        What `set_num_threads` set; else the first usable of ``GRU_RS_NUM_THREADS``, ``RAYON_NUM_THREADS`` and
        ``OMP_NUM_THREADS``; else the CPUs that affinity and cgroup leave to this process.

    Raises
    ------
    ValueError
        If ``GRU_RS_NUM_THREADS`` is not an integer from 1 to 1024.

    Examples
    --------
    >>> import gru_rs
    >>> gru_rs.set_num_threads(2)
    >>> gru_rs.get_num_threads()
    2
    """
    return _core.num_threads()


def set_num_threads(num_threads: int) -> None:
    """Set the number of threads for all calls to come, of all Python threads.

    No result depends on it. Small calls stay on the caller's thread.

    Parameters
    ----------
    num_threads : int
        From 1, the caller's own thread alone, to 1024.

    Raises
    ------
    TypeError, ValueError
        If it is no such number.

    Examples
    --------
    >>> import gru_rs
    >>> gru_rs.set_num_threads(1)
    """
    _core.set_num_threads(as_size("num_threads", num_threads))


@contextmanager
def num_threads(num_threads: int) -> Iterator[None]:
    """Set the number of threads within a ``with`` block, for all Python threads, and then put it back.

    Parameters
    ----------
    num_threads : int
        As for `set_num_threads`.

    Examples
    --------
    >>> import gru_rs
    >>> gru_rs.set_num_threads(2)
    >>> with gru_rs.num_threads(1):
    ...     gru_rs.get_num_threads()
    1
    >>> gru_rs.get_num_threads()
    2
    """
    before = get_num_threads()
    set_num_threads(num_threads)
    try:
        yield
    finally:
        set_num_threads(before)
