//! A rollup from the values of its fields, in the order in which they are declared: of a Parquet file, a line of a
//! journal, a server's answer.

use std::net::IpAddr;

use tcplens_core::record::{ConnectionRollup, Protocol, RequestRollup, Rollup, Vantage, Word};
use tcplens_core::time::{Span, Timestamp};

use crate::cell::Cell;

/// The rollup; `None`: it is none, or of a later version that has words which are not known here.
pub(crate) fn rollup(mut next: impl FnMut() -> Cell) -> Option<Rollup> {
    let mut row = Row { next: &mut next };
    let time = Timestamp(row.number()?);
    let vantage = known(&row.text()?, Vantage::ALL)?;
    let server_ip = match row.text() {
        Some(text) => Some(text.parse::<IpAddr>().ok()?),
        None => None,
    };
    let server_port = row.count();
    let protocol = match row.text() {
        Some(word) => Some(known(&word, Protocol::ALL)?),
        None => None,
    };
    let operation = row.text();
    let capture_losses = row.count().unwrap_or(0);
    let requests = RequestRollup {
        requests: row.count(),
        answered: row.count(),
        errors: row.count(),
        unanswered: row.count(),
        retransmits: row.count(),
        request_bytes: row.count(),
        response_bytes: row.count(),
        upload_sum_us: row.span(),
        process_sum_us: row.span(),
        transfer_sum_us: row.span(),
        total_sum_us: row.span(),
        budgets: row.count(),
        in_client_sum_us: row.span(),
        in_queue_sum_us: row.span(),
        in_server_sum_us: row.span(),
        in_network_sum_us: row.span(),
        in_loss_sum_us: row.span(),
        in_window_sum_us: row.span(),
        in_transfer_sum_us: row.span(),
        total_ns: row.list(),
        total_counts: row.list(),
        process_ns: row.list(),
        process_counts: row.list(),
    };
    let connections = ConnectionRollup {
        attempts: row.count(),
        established: row.count(),
        failed: row.count(),
        refused: row.count(),
        silent: row.count(),
        syn_retransmits: row.count(),
        connect_ns: row.list(),
        connect_counts: row.list(),
        ended: row.count(),
        resets: row.count(),
        client_bytes: row.count(),
        server_bytes: row.count(),
        data_segments: row.count(),
        repeated_segments: row.count(),
        zero_windows: row.count(),
        rtt_sum_us: row.span(),
        rtt_samples: row.count(),
    };
    let is_any = |has: bool| has.then_some(());
    Some(Rollup {
        time,
        vantage,
        server_ip,
        server_port,
        protocol,
        operation,
        capture_losses,
        requests: is_any(requests != RequestRollup::default()).map(|()| Box::new(requests)),
        connections: is_any(connections != ConnectionRollup::default())
            .map(|()| Box::new(connections)),
    })
}

/// The word of a closed set.
fn known<W: Word + Copy>(word: &str, all: &[W]) -> Option<W> {
    let mut all = all.iter();
    all.find(|it| it.word() == Some(word)).copied()
}

struct Row<'a> {
    next: &'a mut dyn FnMut() -> Cell,
}

impl Row<'_> {
    fn number(&mut self) -> Option<i64> {
        match (self.next)() {
            Cell::Number(number) => Some(number),
            _ => None,
        }
    }

    fn count(&mut self) -> Option<u64> {
        self.number().and_then(|number| u64::try_from(number).ok())
    }

    fn span(&mut self) -> Option<Span> {
        self.count().map(Span::from_ns)
    }

    fn text(&mut self) -> Option<String> {
        match (self.next)() {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    fn list(&mut self) -> Vec<u64> {
        match (self.next)() {
            Cell::List(list) => list,
            _ => Vec::new(),
        }
    }
}
