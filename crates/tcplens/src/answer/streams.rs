//! Streams of records to whoever asked for them. A stream has a bounded queue; what finds no room in it is dropped, counted,
//! and told to the reader in the place where it would have been: `{"kind":"dropped","records":N}`.

use std::sync::mpsc::{SyncSender, TrySendError};

use tcplens_core::batch::AnyRecord;
use tcplens_output::Jsonl;

use super::Kinds;

/// Most streams at once. Chosen: with a full queue each they hold 17 MiB.
pub(super) const STREAMS: usize = 16;
/// Chunks that wait for a reader.
pub(super) const CHUNKS: usize = 16;
/// Bytes from which on a chunk goes out without waiting for more.
const CHUNK: usize = 64 * 1024;

/// All streams of a desk.
#[derive(Default)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    encoder: Jsonl,
    /// Records that found no room, of all streams.
    pub dropped: u64,
}

struct Stream {
    kinds: Kinds,
    queue: SyncSender<Vec<u8>>,
    /// Lines for the next chunk. Begins by telling what is missing before them, if something is.
    pending: Vec<u8>,
    /// Records among them.
    records: u64,
    /// Records dropped since the last chunk that went out.
    missing: u64,
    /// Its reader left.
    is_gone: bool,
}

impl Streams {
    /// Adds one; false if there are too many.
    pub(super) fn add(&mut self, kinds: Kinds, queue: SyncSender<Vec<u8>>) -> bool {
        if self.streams.len() >= STREAMS {
            // Some of their readers may have left since the last record. An empty chunk says nothing to the others.
            self.streams.retain(|stream| {
                let said = stream.queue.try_send(Vec::new());
                !matches!(said, Err(TrySendError::Disconnected(_)))
            });
        }
        let has_room = self.streams.len() < STREAMS;
        if has_room {
            self.streams.push(Stream {
                kinds,
                queue,
                pending: Vec::new(),
                records: 0,
                missing: 0,
                is_gone: false,
            });
        }
        has_room
    }

    /// One record to all who want it.
    pub(super) fn record(&mut self, record: AnyRecord<'_>) {
        let wants = |kinds: &Kinds| match record {
            AnyRecord::Handshake(_) => kinds.handshakes,
            AnyRecord::Request(_) => kinds.requests,
            AnyRecord::Connection(_) => kinds.connections,
        };
        if !self.streams.iter().any(|stream| wants(&stream.kinds)) {
            return;
        }
        self.encoder.clear();
        match record {
            AnyRecord::Handshake(handshake) => self.encoder.encode(handshake),
            AnyRecord::Request(request) => self.encoder.encode(&request.record()),
            AnyRecord::Connection(connection) => self.encoder.encode(connection),
        }
        for stream in &mut self.streams {
            if wants(&stream.kinds) {
                stream.pending.extend_from_slice(self.encoder.bytes());
                stream.records += 1;
                if stream.pending.len() >= CHUNK {
                    self.dropped += stream.send();
                }
            }
        }
    }

    /// Sends what waits, for whoever reads along; forgets who is gone.
    pub(super) fn flush(&mut self) {
        let dropped = &mut self.dropped;
        self.streams.retain_mut(|stream| {
            if !stream.pending.is_empty() {
                *dropped += stream.send();
            }
            !stream.is_gone
        });
    }
}

#[cfg(test)]
impl Streams {
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn owes(&self) -> bool {
        self.streams.iter().any(|stream| !stream.pending.is_empty())
    }
}

impl Stream {
    /// Hands the lines over. Without room for them they wait for the next time, if they are few; else they are dropped.
    /// How many were.
    fn send(&mut self) -> u64 {
        match self.queue.try_send(std::mem::take(&mut self.pending)) {
            Ok(()) => {
                (self.records, self.missing) = (0, 0);
                0
            }
            Err(TrySendError::Full(lines)) if lines.len() < CHUNK => {
                self.pending = lines;
                0
            }
            Err(TrySendError::Full(mut lines)) => {
                self.missing += self.records;
                let told = format!("{{\"kind\":\"dropped\",\"records\":{}}}\n", self.missing);
                lines.clear();
                lines.extend_from_slice(told.as_bytes());
                self.pending = lines;
                std::mem::take(&mut self.records)
            }
            // Nobody misses them.
            Err(TrySendError::Disconnected(_)) => {
                self.is_gone = true;
                self.records = 0;
                0
            }
        }
    }
}
