"""One use case a file, named by a verb: check, load, decide, store, answer.

Services know ports and the domain, no technology; who calls them (HTTP, a socket, a worker) is not their business.
"""
