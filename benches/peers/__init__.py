"""The peers benchmark: which file does what.

cli        options, and who gets them
driver     a process for each setting, one after the other; joins what they found
child      one such process
setting    what a process may use: one core, two, or whatever it likes
grid       the sizes of ../grid.toml
workload   random inputs, weights and gradients of one size, the same for every engine
reference  what every answer must be, in float64
checks     how far an answer may be from it
timing     engines in turn; minimum, median, 99th percentile
engines/   what each engine does for forward, training and a step: nothing there is timed or judged
race       checks, then times, the jobs that meet at one point
sections   which engines meet at which sizes on one thread
threads    the same on two
loops      processes that keep the machine busy
busy       default settings, quiet and with busy neighbours
footprint  import time, resident memory, training memory, wheel size
results    the figures, and their CSV
where      machine, commit, command
compare    own time against the peers'
bars       the promises, computed from the results
tables     the tables in Markdown
document   the report they stand in
plots      the plots of docs/benchmarks.md
publish    where a report goes
"""
