"""An end of Twisted Conch: conch_end.py client|server PORT KEY"""

from said import arguments, fingerprint, ready, said, software
from twisted.conch.ssh import factory, keys, transport, userauth
from twisted.internet import defer, protocol, reactor

SIDE, PORT, KEY, _ = arguments()


def tell(end):
    there = "client_to_server" if SIDE == "client" else "server_to_client"
    back = "server_to_client" if SIDE == "client" else "client_to_server"
    agreed = end.nextEncryptions
    said(**{
        "kex": end.kexAlg, "host_key_algorithm": end.keyAlg,
        f"cipher_{there}": agreed.outCipType, f"cipher_{back}": agreed.inCipType,
        f"mac_{there}": agreed.outMACType, f"mac_{back}": agreed.inMACType,
        f"compression_{there}": end.outgoingCompressionType, f"compression_{back}": end.incomingCompressionType,
        ("server_software" if SIDE == "client" else "client_software"): software(end.otherVersionString),
        ("client_software" if SIDE == "client" else "server_software"): software(end.ourVersionString),
    })


class Authentication(userauth.SSHUserAuthClient):
    def getPublicKey(self):
        return None if self.lastAuth else keys.Key.fromFile(KEY).public()

    def getPrivateKey(self):
        return defer.succeed(keys.Key.fromFile(KEY))


class Client(transport.SSHClientTransport):
    def verifyHostKey(self, key, fingerprint_of_it):
        said(**{"host_key.fingerprint": fingerprint(key)})
        return defer.succeed(1)

    def connectionSecure(self):
        tell(self)
        self.loseConnection()

    def connectionLost(self, reason):
        reactor.stop()


class Server(transport.SSHServerTransport):
    def ssh_NEWKEYS(self, packet):
        tell(self)
        super().ssh_NEWKEYS(packet)


if SIDE == "client":
    protocol.ClientCreator(reactor, Client).connectTCP("127.0.0.1", PORT)
else:
    made = factory.SSHFactory()
    made.protocol = Server
    key = keys.Key.fromFile(KEY)
    made.publicKeys = {key.sshType(): key.public()}
    made.privateKeys = {key.sshType(): key}
    made.services = {}
    reactor.listenTCP(PORT, made, interface="127.0.0.1")
    reactor.callWhenRunning(ready)
reactor.run()
