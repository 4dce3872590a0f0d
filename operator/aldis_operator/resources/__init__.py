"""Pure builders: an installation in, the objects that Kubernetes should have out, as plain dicts. No I/O, no clock.

One file a child object; `children` has them all, in the order in which they are made and why.
"""
