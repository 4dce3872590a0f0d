"""Sockets: frames in, frames out.

`protocol` is the seam to uvicorn, `frames` the wire's text, `connection` one socket's state, `hub` all of this process,
`feed` brings one that has fallen behind up to date, `bounded_http` ends endless requests, `server` drains.
"""
