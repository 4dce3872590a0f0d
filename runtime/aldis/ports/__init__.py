"""What the services need from the outside, as Protocols whose docstrings state guarantees.

Order, duplicates, loss, blocking and what is raised are said here; every adapter of a port passes the same contract
tests in `tests/contract`.
"""
