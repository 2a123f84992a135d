"""The certificate that the node makes: names, renewal, and what it never touches."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from tarmac.faces.api import tls
from tarmac.faces.api.tls import Pki, ensure_certificate, fingerprint, server_context
from tarmac.model.errors import DataCorrupt


def names_in(pki: Pki) -> set[str]:
    certificate = x509.load_pem_x509_certificate(pki.certificate.read_bytes())
    told = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {*told.get_values_for_type(x509.DNSName), *map(str, told.get_values_for_type(x509.IPAddress))}


def test_a_certificate_names_host_node_and_addresses(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    assert ensure_certificate(pki, "pve", ["extra.example"])
    assert {"localhost", "pve", "extra.example", "127.0.0.1", "::1"} <= names_in(pki)
    assert pki.key.stat().st_mode & 0o777 == 0o600
    assert len(fingerprint(pki)) == 95


def test_it_is_kept_while_it_is_good(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    assert ensure_certificate(pki, "pve")
    before = fingerprint(pki)
    assert not ensure_certificate(pki, "pve")
    assert fingerprint(pki) == before


def test_it_is_made_anew_before_it_ends_and_for_a_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pki = Pki(tmp_path)
    monkeypatch.setattr(tls, "LIFETIME", datetime.timedelta(days=29))
    assert ensure_certificate(pki, "pve")
    monkeypatch.undo()
    assert ensure_certificate(pki, "pve")
    assert not ensure_certificate(pki, "pve")
    assert ensure_certificate(pki, "other")


def test_a_foreign_certificate_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pki = Pki(tmp_path)
    monkeypatch.setattr(tls, "ISSUER", "Somebody")
    monkeypatch.setattr(tls, "LIFETIME", datetime.timedelta(days=2))
    assert ensure_certificate(pki, "pve")
    monkeypatch.undo()
    assert not ensure_certificate(pki, "pve")


def test_a_renewed_certificate_is_served_by_the_same_context(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    ensure_certificate(pki, "pve")
    context = server_context(pki)
    ensure_certificate(pki, "other")
    tls.reload(context, pki)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_damaged_pair_is_reported(tmp_path: Path) -> None:
    pki = Pki(tmp_path)
    ensure_certificate(pki, "pve")
    pki.key.write_text("nothing")
    with pytest.raises(DataCorrupt):
        server_context(pki)
