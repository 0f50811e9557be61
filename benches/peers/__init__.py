"""The peers benchmark: which file does what.

cli        options, order of the run, exit status
grid       the sizes of ../grid.toml
workload   random inputs, weights and gradients of one size, the same for every engine
reference  what every answer must be, in float64
checks     how far an answer may be from it
timing     one core, engines in turn, minimum and median
engines/   what each engine does for forward, training and a step: nothing there is timed or judged
sections   which engines meet at which sizes
footprint  import time, resident memory, training memory, wheel size
bars       the promises, computed from the results
record     the tables on the terminal and the files
"""
