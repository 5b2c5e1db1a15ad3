//! `agent`: several sources and views in one process, by one YAML file.
//!
//! `load` reads the file (`yaml`: its tree; `keys`, `section`: what may be in it; `config`: what it means; `render`: all
//! of it again; `tcprt`: the other file that is understood); `plan` is what an observation is told, `fan` takes its records to the views (`view`),
//! `reload` exchanges these, `notify` tells systemd; `sockets` watches the kernel's sockets beside; `here` is what `--check` tells of this machine.

pub(crate) mod anomalies;
pub(crate) mod config;
pub(crate) mod fan;
pub(crate) mod here;
pub(crate) mod keys;
pub(crate) mod load;
pub(crate) mod notify;
pub(crate) mod plan;
pub(crate) mod reload;
pub(crate) mod render;
pub(crate) mod section;
pub(crate) mod sockets;
pub(crate) mod tcprt;
#[cfg(test)]
mod testing;
pub(crate) mod view;
pub(crate) mod yaml;
