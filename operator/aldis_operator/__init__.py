"""The Kubernetes operator: it will turn Aldis custom resources into running installations.

Its rooms will be `handlers`, `reconcile`, `kube`, `resources` and `model`. It shares no code with the runtime:
what the two agree on is environment variables, the admin API and the custom resource definitions.
"""
