"""The custom resources as typed values, and an installation as they describe it. No Kubernetes client, no I/O."""
