//! A ClickHouse server as a source of rollups: its own tables, or those that read all shards.

use std::ops::Range;

use anyhow::Result;
use tcplens_core::record::Rollup;
use tcplens_core::time::Timestamp;
use tcplens_output::clickhouse::{ClickHouseReader, Scope, Server};

use super::Source;

/// See the module.
pub(super) struct ClickHouse {
    reader: ClickHouseReader,
    name: String,
    first: Option<Timestamp>,
    /// Rows of later versions.
    unknown: u64,
}

impl ClickHouse {
    /// Asks the server how far back it reaches.
    ///
    /// # Errors
    /// It does not answer, or refuses, or has no tables.
    pub(super) fn open(server: Server) -> Result<ClickHouse> {
        server.version()?;
        let name = server.target().to_string();
        let reader = ClickHouseReader::new(server);
        Ok(ClickHouse {
            first: reader.extent(&[])?.map(|extent| extent.first),
            reader,
            name,
            unknown: 0,
        })
    }
}

impl Source for ClickHouse {
    fn newest(&mut self, hosts: &[&str]) -> Result<Option<Timestamp>> {
        Ok(self.reader.extent(hosts)?.and_then(|extent| extent.newest))
    }

    fn first(&self) -> Option<Timestamp> {
        self.first
    }

    fn rollups(
        &mut self,
        range: Range<Timestamp>,
        hosts: &[&str],
        each: &mut dyn FnMut(&str, Rollup),
    ) -> Result<()> {
        let scope = Scope {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            server: None,
        };
        let stretches = self.reader.stretches(&range, &scope)?;
        let read = &mut |_: &[_]| ();
        self.unknown += self
            .reader
            .rollups(&stretches, &scope, each, read, &|| false)?;
        Ok(())
    }

    fn damages(&self) -> Vec<String> {
        let unknown = self.unknown;
        let damage = (unknown > 0).then(|| {
            format!(
                "{}: {unknown} rows are not known to this version; left out",
                self.name
            )
        });
        damage.into_iter().collect()
    }
}
