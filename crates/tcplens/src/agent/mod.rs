//! `agent`: several sources and views in one process, by one YAML file.

pub(crate) mod config;
pub(crate) mod keys;
pub(crate) mod load;
pub(crate) mod section;
pub(crate) mod tcprt;
pub(crate) mod yaml;
