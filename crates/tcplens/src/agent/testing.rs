//! Records for tests: they have no defaults, so real ones are taken from the sample.

use std::sync::Arc;

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::{Connection, Handshake, Health};
use tcplens_output::SinkEnd;

use super::{config, plan};
use crate::observe::{View, observe};

/// One of each.
pub(crate) struct Samples {
    pub handshake: Handshake,
    pub connection: Connection,
    pub health: Health,
}

#[derive(Default)]
struct Last(Option<Handshake>, Option<Connection>);

impl View for Last {
    fn record(&mut self, record: AnyRecord<'_>) -> Result<(), SinkEnd> {
        match record {
            AnyRecord::Handshake(handshake) => self.0 = Some(handshake.clone()),
            AnyRecord::Connection(connection) => self.1 = Some(connection.clone()),
            AnyRecord::Request(_) => {}
        }
        Ok(())
    }
}

/// Of the sample that comes along.
pub(crate) fn samples() -> Samples {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../samples/shop.pcap");
    let text = format!("sources: [{{read: {file}}}]\nviews: [{{kind: report}}]\n");
    let config = config::parse(&text).unwrap();
    let mut last = Last::default();
    let plan = plan::plan(&config, vec![file.into()], false, 1, Arc::default());
    let observed = observe(plan, &mut last).unwrap();
    Samples {
        handshake: last.0.unwrap(),
        connection: last.1.unwrap(),
        health: observed.health,
    }
}
