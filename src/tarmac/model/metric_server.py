"""Where figures are sent to: Proxmox's metric servers. Source: PVE::Status::InfluxDB, ::Graphite of Proxmox VE 9."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tarmac.model.formats import FORMATS
from tarmac.model.settings import setting

TYPES = ("graphite", "influxdb", "opentelemetry")
BUILT_TYPES = ("graphite", "influxdb")


def _check_path(text: str) -> None:
    parts = text.split(".")
    if not all(part and part.isascii() and part.replace("-", "").replace("_", "").isalnum() for part in parts):
        raise ValueError("value does not look like a valid graphite path")


FORMATS["graphite-path"] = _check_path


def _other(name: str, **limits: Any) -> Any:
    return setting(None, name=name, built=False, help="Of a type not built yet.", **limits)


@dataclass(frozen=True, kw_only=True)
class OpenTelemetry:
    """Keys that only servers of that type have."""

    otel_compression: str | None = _other("otel-compression", choices=("none", "gzip"))
    otel_headers: str | None = _other("otel-headers")
    otel_max_body_size: int | None = _other("otel-max-body-size")
    otel_path: str | None = _other("otel-path")
    otel_protocol: str | None = _other("otel-protocol", choices=("http", "https"))
    otel_resource_attributes: str | None = _other("otel-resource-attributes")
    otel_timeout: int | None = _other("otel-timeout")
    otel_verify_ssl: bool | None = _other("otel-verify-ssl")


@dataclass(frozen=True, kw_only=True)
class MetricServerOptions(OpenTelemetry):
    """What can be said of a metric server when it is made and later; `type` besides is fixed."""

    server: str = setting(format="address", help="The server's name or address.")
    port: int = setting(ge=1, le=65536, help="Its port.")
    disable: bool = setting(False, help="Nothing is sent.")
    mtu: int = setting(1500, ge=512, le=65536, unit="bytes", help="UDP: the size of a packet at most.")
    timeout: int = setting(1, ge=0, unit="s", help="TCP and HTTP: how long sending may take; 0: without limit.")
    path: str | None = setting(None, format="graphite-path", help="Graphite: what all names begin with.")
    proto: str | None = setting(None, choices=("udp", "tcp"), help="Graphite: how it is sent.")
    influxdbproto: str = setting("udp", choices=("udp", "http", "https"), help="InfluxDB: how it is sent.")
    organization: str | None = setting(None, max_length=256, help="InfluxDB: the organization.")
    bucket: str | None = setting(None, max_length=256, help="InfluxDB: the bucket, or the database and its retention.")
    token: str | None = setting(None, max_length=1024, secret=True, help="InfluxDB: the token that may write.")
    api_path_prefix: str | None = setting(
        None, name="api-path-prefix", max_length=256, help="InfluxDB: what stands between host and `/api/v2`."
    )
    max_body_size: int = setting(
        25_000_000, name="max-body-size", ge=1, unit="bytes", help="InfluxDB: the size of a request at most."
    )
    verify_certificate: bool = setting(True, name="verify-certificate", help="InfluxDB: whether to check it.")


@dataclass(frozen=True, kw_only=True)
class MetricServer(MetricServerOptions):
    """One metric server as it is stored."""

    type: str = setting(choices=TYPES, help="What it speaks.")
