//! What a row is called.

use tcplens_core::view::top::RowKey;
use tcplens_output::hosts::Hosts;

/// What a row is called; addresses by the names that are known for them.
pub(super) fn row(key: &RowKey, hosts: &Hosts) -> String {
    match key {
        RowKey::Ip(ip) => hosts.host(*ip).to_string(),
        RowKey::Server(ip, port) => hosts.end(*ip, *port).to_string(),
        RowKey::Port(port) => format!("port {port}"),
        RowKey::Process(pid, name) => format!("{name}[{pid}]"),
        RowKey::Container(id) if id.is_empty() => "in no container".to_owned(),
        // As docker and podman print them.
        RowKey::Container(id) => id.chars().take(12).collect(),
        RowKey::Unknown => "not known".to_owned(),
    }
}
