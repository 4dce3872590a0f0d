"""The broker on RabbitMQ 3.10 or newer, through aio-pika.

`link` keeps a connection, `topology` names and declares, `publisher` gives items and events and waits until they are
safe, `subscription` and `consumer` take them; `broker` puts these together. Connections are opened again by our own
hand: the library's robust ones neither repeat a publish nor notice every consumer that they have lost.
"""
