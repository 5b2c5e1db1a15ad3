//! Scripts that come with the program, and where a script's text comes from.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::status::usage;

/// By name; they are in `scripts/` of the repository.
pub(crate) const SHIPPED: [(&str, &str); 5] = [
    ("example", include_str!("../../../../scripts/example.lua")),
    ("dns", include_str!("../../../../scripts/dns.lua")),
    (
        "tcp-connect",
        include_str!("../../../../scripts/tcp-connect.lua"),
    ),
    ("slow-log", include_str!("../../../../scripts/slow-log.lua")),
    ("top-keys", include_str!("../../../../scripts/top-keys.lua")),
];

/// A script's text and its name in messages.
#[derive(Debug)]
pub(crate) struct Source {
    /// A path, or the name of one that is shipped.
    pub name: String,
    /// Lua.
    pub text: Vec<u8>,
}

impl Source {
    /// A file; or, if there is none of that name, the script that is shipped under it.
    ///
    /// # Errors
    /// It cannot be read, or there is none.
    pub(crate) fn find(path: &Path) -> Result<Source> {
        let name = path.display().to_string();
        if !path.exists() {
            if let Some((_, text)) = SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
                return Ok(Source {
                    name,
                    text: text.as_bytes().to_vec(),
                });
            }
            let names = SHIPPED.map(|(name, _)| name).join(", ");
            return Err(usage(format!(
                "cannot run {name}: no such file; write the path of a Lua script, or the name of one that comes along: {names}"
            )));
        }
        let text = std::fs::read(path).with_context(|| {
            format!("cannot read the script {name}; check its path and permissions")
        })?;
        Ok(Source { name, text })
    }
}
