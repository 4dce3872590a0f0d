"""The benchmarks: each scenario starts a server of its own on one core and loads it from another.

Run them with `make bench SCENARIO=B2` or `python tests/bench/run.py B2 --quick`. Nothing here is collected by
pytest; the pure parts (percentiles, order, search for the highest rate) have their tests in `tests/unit/bench`.
"""
