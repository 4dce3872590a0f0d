"""The HTTP way in: parse, call one service, map the answer or the error. Nothing here decides.

`build_app` puts it together from what bootstrap hands in; `errors` has the one table from errors to answers.
"""
