//! What a row is called. Names of addresses come in here: see [`label`].

use std::net::IpAddr;

use tcplens_core::view::top::RowKey;
use tcplens_output::human::Endpoint;

/// What an end is called: its address, and its port where the row has one.
pub(super) fn label(ip: IpAddr, port: Option<u64>) -> String {
    match port {
        Some(port) => Endpoint(ip, port).to_string(),
        None => ip.to_string(),
    }
}

/// What a row is called.
pub(super) fn row(key: &RowKey) -> String {
    match key {
        RowKey::Ip(ip) => label(*ip, None),
        RowKey::Server(ip, port) => label(*ip, Some(*port)),
        RowKey::Port(port) => format!("port {port}"),
        RowKey::Process(pid, name) => format!("{name}[{pid}]"),
        RowKey::Container(id) if id.is_empty() => "in no container".to_owned(),
        // As docker and podman print them.
        RowKey::Container(id) => id.chars().take(12).collect(),
        RowKey::Unknown => "not known".to_owned(),
    }
}
