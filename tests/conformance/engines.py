"""The engines: what each needs, and how a model of gru-rs gets to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("GRU_RS_ENGINES") or Path.home() / ".cache" / "gru-rs-engines")
PEERS = Path(os.environ.get("GRU_RS_PEERS") or Path.home() / ".cache" / "gru-rs-peers")
NUMPY, ONNX = "numpy==2.4.6", "onnx==1.23.2"


@dataclass(frozen=True)
class Engine:
    """An engine and its environment.

    `packages` go into an environment of its own; without them this process's own has what is needed. `loose`
    are installed without what they ask for. `crate` is a folder of rust/. `seconds` are a case's at most.
    """

    name: str
    title: str
    packages: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    peers: bool = False
    crate: str = ""
    seconds: int = 60

    @property
    def home(self) -> Path:
        return CACHE / self.name

    def command(self) -> list[str]:
        """What runs cases, environment and all made if they are not there."""
        if self.crate:
            return [str(self.built())]
        python = sys.executable
        if self.packages or self.loose:
            self.install()
            python = str(self.home / "bin" / "python")
        return [python, str(HERE / "child.py"), self.name]

    def install(self) -> None:
        wanted = "\n".join([*self.packages, *self.loose, *self.options])
        stamp = self.home / "packages.txt"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        print(f"{self.name}: making {self.home}", flush=True)
        shutil.rmtree(self.home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(self.home)], check=True)
        pip = [str(self.home / "bin" / "python"), "-m", "pip", "install", "--quiet", *self.options]
        if self.packages:
            subprocess.run([*pip, *self.packages], check=True)
        if self.loose:
            subprocess.run([*pip, "--no-deps", *self.loose], check=True)
        if self.peers:
            (own,) = self.home.glob("lib/python*/site-packages")
            (other,) = PEERS.glob("lib/python*/site-packages")
            (own / "peers.pth").write_text(f"{other}\n")
        stamp.write_text(wanted)

    def built(self) -> Path:
        """The program of a crate; cargo does what is not done."""
        target = CACHE / f"{self.crate}-target"
        environment = dict(os.environ, CARGO_TARGET_DIR=str(target))
        if self.packages:  # a compiler of protocol buffers, which candle's build calls
            self.install()
            compiler = self.home / "bin" / "protoc"
            compiler.write_text(f'#!/bin/sh\nexec "{self.home}/bin/python" -m grpc_tools.protoc "$@"\n')
            compiler.chmod(0o755)
            environment["PROTOC"] = str(compiler)
        manifest = HERE / "rust" / self.crate / "Cargo.toml"
        command = [
            "cargo",
            "build",
            "--quiet",
            "--release",
            "--locked",
            "-j1",
            "--manifest-path",
            str(manifest),
        ]
        subprocess.run(command, check=True, env=environment)
        return target / "release" / f"conformance-{self.crate}"


ENGINES = {
    engine.name: engine
    for engine in [
        Engine("onnxruntime", "ONNX Runtime"),
        Engine("reference", "ONNX reference"),
        Engine("openvino", "OpenVINO", ("openvino==2026.4.1", NUMPY)),
        Engine("mnn", "MNN", ("MNN==3.6.1", NUMPY)),
        Engine("opencv", "OpenCV dnn", ("opencv-python-headless==5.0.0.93", NUMPY)),
        Engine("tract", "tract", ("tract==0.23.9", NUMPY)),
        Engine("rten", "rten", crate="rten"),
        Engine("candle", "candle", ("grpcio-tools==1.85.1",), crate="candle"),
        Engine("iree", "IREE", ("iree-base-compiler==3.13.0", "iree-base-runtime==3.13.0", ONNX, NUMPY)),
        Engine("onnx2tf", "onnx2tf", ("onnx2tf==2.6.9",), options=("--ignore-requires-python",)),
        Engine("tinygrad", "tinygrad", ("tinygrad==0.14.0", NUMPY)),
        Engine("tvm", "TVM", ("apache-tvm==0.27.0.post1", ONNX)),
        Engine(
            "onnx2torch",
            "onnx2torch",
            ("pillow==13.0.0",),
            ("onnx2torch==1.5.15", "torchvision==0.29.2"),
            peers=True,
        ),
        Engine("jaxonnxruntime", "jaxonnxruntime", ("jaxonnxruntime==0.3.0", ONNX)),
    ]
}
