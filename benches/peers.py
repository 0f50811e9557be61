"""Times gru_rs beside PyTorch, ONNX Runtime, OpenVINO and JAX over benches/grid.toml: `make bench-peers`.

    python benches/peers.py --record benches/record --docs docs
    python benches/peers.py --quick --only forward,step
    python benches/peers.py --render benches/record/<name>.csv --docs docs

One core, two, and default settings on a quiet and a busy machine, each in processes of their own; answers
checked before anything is timed, the engines in turn round by round. Its parts are in the folder peers/
beside this file; `--help` lists the options.
"""

from peers.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
