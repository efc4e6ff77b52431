import os
import socket

from deploy.local.ports import free_ports, holder, is_free, is_open


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) for port in ports)


def test_the_holder_of_a_taken_port_is_named() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]

        assert not is_free(port)
        assert is_open(port)
        named = holder(port)

    assert named is not None
    assert named.startswith(f"process {os.getpid()}:")
    assert holder(port) is None
