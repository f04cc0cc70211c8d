"""Signs of life: a file that is touched, an address that is asked, and what happens when neither can be (I26)."""

from __future__ import annotations

import datetime as dt
import json
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import IPv4Address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lifecycle.daemon.alive import sign

NOW = dt.datetime(2026, 6, 15, 10, tzinfo=dt.UTC)


def certificate(folder):
    """Make a certificate of our own for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "watcher.example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2090, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "watcher.pem", folder / "watcher.key"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@contextmanager
def watcher(folder, *, status=200, location=None):
    """Serve a dead man's address; yields it and the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    public, private = certificate(folder)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", asked, public
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_both_signs_are_left(tmp_path, monkeypatch):
    """The file says when and whether this replica leads; the address is asked once."""
    with watcher(tmp_path) as (url, asked, public):
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        assert sign(tmp_path / "alive", f"{url}/ping/abc", NOW, leader=True) == []
        assert asked == ["/ping/abc"]
    assert json.loads((tmp_path / "alive").read_text()) == {"at": "2026-06-15T10:00:00Z", "leader": True}


def test_I26_who_stands_by_leaves_its_file_alone(tmp_path, monkeypatch):
    """The address falls silent when nobody leads, however many stand by."""
    with watcher(tmp_path) as (url, asked, public):
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        assert sign(tmp_path / "alive", f"{url}/ping", NOW, leader=False) == []
        assert asked == []
    assert json.loads((tmp_path / "alive").read_text())["leader"] is False


def test_a_stranger_s_certificate_is_not_believed(tmp_path):
    """https means a certificate that this host trusts; the file is touched all the same."""
    with watcher(tmp_path) as (url, asked, _):
        failed = sign(tmp_path / "alive", f"{url}/ping", NOW, leader=True)
        assert asked == []
    assert [type(error).__name__ for error in failed] == ["Transient"]
    assert (tmp_path / "alive").exists()


@pytest.mark.parametrize(("status", "location"), [(500, None), (302, "https://elsewhere.example.com/")])
def test_an_address_that_answers_otherwise_has_failed(tmp_path, monkeypatch, status, location):
    """An error is no answer, and a redirect is not followed."""
    with watcher(tmp_path, status=status, location=location) as (url, asked, public):
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
        failed = sign(tmp_path / "alive", url + "/ping", NOW, leader=True)
        assert asked == ["/ping"]
    assert len(failed) == 1
    assert "elsewhere" not in failed[0].message


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    """A folder that is gone is an error of the sign, not of the tick."""
    failed = sign(tmp_path / "gone" / "alive", None, NOW, leader=True)
    assert [type(error).__name__ for error in failed] == ["Transient"]
