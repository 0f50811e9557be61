"""Small machines: single steps, quantized weights, slow calls and memory, and what is promised about them.

    make bench-edge              # about eight minutes, into benches/record
    python benches/edge.py --quick
    python benches/edge.py --section step --section rust
    GRU_RS_ISA=avx2 make bench-edge

Each measurement runs in a process of its own, tied to one core; only the slow calls have the whole machine.
Answers are compared with the peer's before anything is timed, what is timed takes turns, and the best round
counts. Its parts are in the folder edge/ beside this file.
"""

import sys

from edge.process import FLAG, answer

if __name__ == "__main__":
    if sys.argv[1:2] == [FLAG]:
        answer(sys.argv[2])
    else:
        from edge.cli import main

        main(__doc__)
