"""The technologies behind the ports: one folder each, a file named like the port it implements.

An adapter translates its driver's errors once, knows no use case and no other adapter.
"""
