"""What gateways share through Redis: doorbells, who is connected, tokens and hot copies. All of it may be lost.

`address` reads where Redis is (one server, Sentinel or a Cluster), `clients` connects, `link` bounds every call and
tells at once while Redis is away, `keyspace` names the keys. The adapters go through the link; none retries on its own.
"""
