"""The servers that Aldis runs on in production, real ones, on this machine: for tests, and for a stack in small.

    with Guard() as guard, RedisServer(guard=guard) as redis:
        ...redis.url, redis.pause(), redis.resume(), redis.kill(), redis.start()

Each has private ports on 127.0.0.1, a private data folder (0700, owned by whoever it runs as) that goes with it, and a
log that is shown when it does not come up. Nothing of the system's own servers is used or touched, any number of runs
go on beside each other, and what is killed together with its starter is ended by the guard. `scripts/install-servers`
installs the programs. From a terminal: `PYTHONPATH=tests .venv/bin/python -m servers postgres rabbitmq redis`.
"""
