"""The rules of messaging as plain values: no I/O, no framework, nothing but the standard library.

Look here for what a message, a position, a cursor, a receipt or a status *is*, and for which change of them is legal.
"""
