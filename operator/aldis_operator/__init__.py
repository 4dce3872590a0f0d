"""The Kubernetes operator: it will turn Aldis custom resources into running installations.

Its rooms are `model` (the custom resources, and what they mean when a profile has filled them in), `resources` (one
pure builder a child object) and `crds` (the definitions that a cluster is given, and their reference page). It shares
no code with the runtime: what the two agree on is environment variables, the admin API and the custom resources.
"""
