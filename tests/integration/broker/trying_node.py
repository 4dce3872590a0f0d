"""A RabbitMQ that tests may treat badly: it speaks TLS as well, and its alarms can be set off."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from servers.place import find_program, write_private
from servers.ports import HOST, free_port
from servers.rabbitmq import PROGRAMS, USER, RabbitServer

TESTS = Path(__file__).parents[2]
TLS = """\
listeners.ssl.1 = {host}:{port}
ssl_options.cacertfile = {folder}/server.pem
ssl_options.certfile = {folder}/server.pem
ssl_options.keyfile = {folder}/server.key
"""


class TryingNode(RabbitServer):
    """One node that is killed, paused, wiped and starved."""

    tls_port = 0

    @property
    def certificate(self) -> Path:
        """What its clients must trust."""
        return self.folder / "server.pem"

    def tls_url_of(self, url: str) -> str:
        """The address of a virtual host, encrypted; it trusts nobody yet."""
        vhost = url.rpartition("/")[2]
        return f"amqps://{USER}:{self.password}@{HOST}:{self.tls_port}/{vhost}"

    def arguments(self) -> Sequence[str]:
        """The node with one more listener."""
        command = super().arguments()
        self.tls_port = self.tls_port or free_port()
        if not self.certificate.exists():
            certificate, key = self_signed(HOST)
            write_private(self.certificate, certificate, self._account)
            write_private(self.folder / "server.key", key, self._account)
        with (self.folder / "rabbitmq.conf").open("a", encoding="utf-8") as file:
            file.write(TLS.format(host=HOST, port=self.tls_port, folder=self.folder))
        return command

    def starve(self) -> None:
        """Set off the memory alarm: it takes nothing from those who publish."""
        self._ctl("set_vm_memory_high_watermark", "absolute", "1")

    def feed(self) -> None:
        """End the alarm."""
        self._ctl("set_vm_memory_high_watermark", "absolute", str(1 << 30))

    def names(self, url: str) -> set[str]:
        """The queues of a virtual host."""
        return {queue["name"] for queue in self.ask("GET", f"queues/{url.rpartition('/')[2]}")}

    def wipe(self, url: str) -> None:
        """Drop a virtual host with all that is in it, and make an empty one of the same name."""
        name = url.rpartition("/")[2]
        self.drop_vhost(url)
        self.ask("PUT", f"vhosts/{name}")
        self.ask("PUT", f"permissions/{name}/{USER}", {"configure": ".*", "write": ".*", "read": ".*"})

    def _ctl(self, *arguments: str) -> None:
        self.run(str(find_program("rabbitmqctl", PROGRAMS)), *arguments)


def self_signed(address: str) -> tuple[str, str]:
    """A certificate for an IP address that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=12))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), plain.decode()
