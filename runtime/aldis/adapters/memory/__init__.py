"""Everything in this process: what `aldis serve` runs on, and what tests use in place of servers.

Nothing here outlives the process, which is allowed: all of it is doorbells and hot copies, the store is the truth.
"""
