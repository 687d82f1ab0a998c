"""
Benchmarks: ratios that are measured in one run on the machine at hand. `make bench`; nothing else stands on them.

Each file with a `BENCHMARK` measures one thing, and computes its figures from the raw measurements that it leaves in
`build/bench`. None of it is a test: a goal that is not met is told, and nothing fails.
"""
