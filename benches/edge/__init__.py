"""The benchmark of small machines: which file does what.

cli         options, the sections, the record
process     a measurement in a process of its own, tied to a core first
tables      Markdown, and whether a promise is kept
layers      steps and chunks from Python beside ONNX Runtime; bytes of the weights
rust        steps from Rust, which ../steps.rs times
suppressor  a trained noise suppressor with quantized weights
endurance   memory after very many steps
tails       the slow calls, also where both cores are busy
"""
