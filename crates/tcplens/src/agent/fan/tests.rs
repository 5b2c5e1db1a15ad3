use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tcplens_core::batch::AnyRecord;
use tcplens_core::record::Connection;
use tcplens_output::Sink;

use super::*;
use crate::agent::config;
use crate::agent::testing::samples;

/// A destination that can be read, and can fail.
#[derive(Clone, Default)]
pub(crate) struct Paper {
    pub text: Arc<Mutex<String>>,
    pub is_full: bool,
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut text = self.text.lock().unwrap();
        text.push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn lines(&self) -> usize {
        self.text.lock().unwrap().lines().count()
    }
}

/// A fan of the views of a configuration, on papers.
fn fan(views: &str, papers: &[Paper]) -> Fan {
    let config = config::parse(&format!("sources: [{{read: x}}]\nviews:\n{views}")).unwrap();
    let open = |(view, paper): (&config::ViewConfig, &Paper)| {
        let sink = Sink::from_writer("paper", Box::new(paper.clone()));
        AgentView::to(view.clone(), &config, sink)
    };
    let views = config.views.iter().zip(papers).map(open).collect();
    Fan::of(&config, views, Notify::default())
}

fn connection(fan: &mut Fan, port: u64) -> Result<(), SinkEnd> {
    let connection = Connection {
        server_port: port,
        ..samples().connection
    };
    fan.record(AnyRecord::Connection(&connection))?;
    fan.idle()
}

#[test]
fn each_view_gets_what_it_takes() {
    let papers: [Paper; 3] = Default::default();
    let mut fan = fan(
        "  - {kind: connections, format: jsonl, port: 80}\n  - {kind: connections, format: jsonl}\n  \
         - {kind: handshakes, format: jsonl}\n",
        &papers,
    );
    connection(&mut fan, 80).unwrap();
    connection(&mut fan, 81).unwrap();
    fan.record(AnyRecord::Handshake(&samples().handshake))
        .unwrap();
    fan.finish(&samples().health, &[]).unwrap();
    assert_eq!(papers.each_ref().map(Paper::lines), [1, 2, 1]);
}

#[test]
fn a_view_that_fails_is_dropped_and_counted_and_the_others_go_on() {
    let full = Paper {
        is_full: true,
        ..Paper::default()
    };
    let papers = [full, Paper::default()];
    let mut fan = fan(
        "  - {kind: connections, format: jsonl, port: 80}\n  - {kind: connections, format: jsonl}\n",
        &papers,
    );
    for port in [80, 80, 81, 80] {
        connection(&mut fan, port).unwrap();
    }
    // The first was on its way when it failed; two more were for it.
    assert_eq!(fan.missed(), [("a view of connections", 2)]);
    assert_eq!(papers[1].lines(), 4);
}

#[test]
fn nobody_left_is_the_end() {
    let full = Paper {
        is_full: true,
        ..Paper::default()
    };
    let mut fan = fan("  - {kind: connections, format: jsonl}\n", &[full]);
    let end = connection(&mut fan, 80).unwrap_err();
    assert!(matches!(end, SinkEnd::Failed(_)), "{end}");
}
