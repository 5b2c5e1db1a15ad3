//! Writes archives in tcp-info's layout, without a process, thread or open file for each connection: lines wait in memory, in
//! one text per connection, and go out as a frame behind what the connection's file has (see `segment`).
//!
//! - A frame goes out when its first line has waited for `flush`, when the connection ends, when its segment does, and at the
//!   end of the run; and when all lines that wait need more than `limit_pending`, of the connections that have waited for
//!   longest, until a quarter of the room is free.
//! - A segment begins with the first line that comes `segment` or more after the last one began, so an idle connection has no
//!   segments of one line each (D3). It begins with a line of metadata.
//! - A file is never truncated or written over (D14): a segment takes the next number that no file has. So a program that is
//!   started again goes on in new segments, and so does a connection whose file has vanished.
//! - Directories are made as they are needed, again if they vanish (D13). While nothing can be written lines wait, writing is
//!   tried again once a second, and what finds no room is dropped, the oldest first, and counted. It is told once.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::path::PathBuf;

use tcplens_core::socket::Message;
use tcplens_core::time::{SECOND, Span, Timestamp};

use super::line::{Final, Line, Metadata};
use super::names::Uuid;
use disk::Disk;

mod disk;

/// Where an archive is, and what waits in memory.
#[derive(Clone, Debug)]
pub struct ArchiveSettings {
    /// Its directory.
    pub directory: PathBuf,
    /// What connections are called.
    pub uuid: Uuid,
    /// How long a segment is.
    pub segment: Span,
    /// How long a line waits at most, if [`Archive::tick`] is called often.
    pub flush: Span,
    /// Bytes of lines that wait.
    pub limit_pending: usize,
    /// Connections that are known. Beyond, all are written and forgotten: those that go on begin new segments.
    pub limit_connections: usize,
}

impl ArchiveSettings {
    /// tcp-info's segments of ten minutes; ten seconds, 64 MiB, a million connections.
    #[must_use]
    pub fn new(directory: PathBuf, uuid: Uuid) -> ArchiveSettings {
        ArchiveSettings {
            directory,
            uuid,
            segment: Span::from_ns(600 * SECOND as u64),
            flush: Span::from_ns(10 * SECOND as u64),
            limit_pending: 64 << 20,
            limit_connections: 1 << 20,
        }
    }
}

/// What became of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveCounters {
    /// Files made.
    pub files: u64,
    /// Lines taken, those of metadata not.
    pub records: u64,
    /// Such lines that were written.
    pub written: u64,
    /// Bytes written, compressed.
    pub bytes: u64,
    /// Attempts to write that failed.
    pub failures: u64,
    /// Frames written because their first line had waited.
    pub flushes_due: u64,
    /// Because the connection had ended.
    pub flushes_ended: u64,
    /// Because its segment had.
    pub flushes_segment: u64,
    /// Because too much waited, or too many connections were known.
    pub flushes_full: u64,
    /// Because the run had ended.
    pub flushes_finish: u64,
    /// Lines dropped, for nothing could be written.
    pub dropped: u64,
    /// Snapshots of sockets without a cookie: nothing to name them by.
    pub without_cookie: u64,
    /// Connections forgotten because of `limit_connections`.
    pub forgotten: u64,
    /// Attributes of kinds beyond [`super::line::HIGHEST_KIND`].
    pub attributes_left_out: u64,
}

/// An archive that is being written.
pub struct Archive {
    disk: Disk,
    connections: HashMap<u64, Connection>,
    /// Who has waited since when, in this order; who has been written meanwhile stays until its time comes.
    order: VecDeque<(Timestamp, u64)>,
    /// Bytes of all lines that wait.
    pending: usize,
}

/// What is known of a connection while none of its lines wait: 72 bytes.
struct Connection {
    first_seen: Timestamp,
    /// When the segment began, which its next line belongs to.
    began: Timestamp,
    /// Day that names the segment's directory.
    dated: Timestamp,
    /// The segment's number, or the least that it may have.
    sequence: u32,
    /// The segment has a file.
    has_file: bool,
    /// It has ended, and is forgotten once its lines are written.
    is_over: bool,
    /// Lines.
    waiting: Vec<u8>,
    records: u32,
    /// Since when.
    since: Timestamp,
}

/// Why lines go out.
#[derive(Clone, Copy)]
enum Why {
    Due,
    Ended,
    Segment,
    Full,
    Finish,
}

impl Archive {
    /// Nothing is written yet.
    ///
    /// # Errors
    /// There is no memory for the compressor.
    pub fn new(settings: ArchiveSettings) -> io::Result<Archive> {
        Ok(Archive {
            disk: Disk::new(settings)?,
            connections: HashMap::new(),
            order: VecDeque::new(),
            pending: 0,
        })
    }

    /// A socket, as the kernel told it `at`. `first_seen` counts with its first.
    pub fn snapshot(
        &mut self,
        at: Timestamp,
        first_seen: Timestamp,
        cookie: u64,
        message: Message<'_>,
    ) {
        let line = Line {
            at: at.into(),
            message: Some(message),
            places: 1,
            ..Line::default()
        };
        self.line(at, first_seen, cookie, &line);
        self.make_room(at);
    }

    /// A connection is over. With what the kernel said of it last, if that is known: without it the end stands in the last
    /// line that waits, or else beside metadata, which tcp-info's programs show as a row without values.
    pub fn ended(
        &mut self,
        at: Timestamp,
        first_seen: Timestamp,
        cookie: u64,
        message: Option<Message<'_>>,
        ended: &Final,
    ) {
        let last = self.connections.get_mut(&cookie);
        if let (None, Some(connection)) = (message, last)
            && let Some(lines) = connection.waiting.strip_suffix(b"}\n")
        {
            let length = lines.len();
            self.pending -= connection.waiting.len() - length;
            connection.waiting.truncate(length);
            ended.write(&mut connection.waiting);
            connection.waiting.extend_from_slice(b"}\n");
            self.pending += connection.waiting.len() - length;
        } else {
            let sequence = |connection: &Connection| connection.sequence;
            let metadata = Metadata {
                uuid: self.disk.settings.uuid.name(cookie),
                sequence: self.connections.get(&cookie).map_or(0, sequence),
                start_time: first_seen.into(),
            };
            let line = Line {
                at: at.into(),
                message,
                places: 1,
                metadata: message.is_none().then_some(&metadata),
                ended: Some(ended),
            };
            self.line(at, first_seen, cookie, &line);
        }
        if let Some(connection) = self.connections.get_mut(&cookie) {
            connection.is_over = true;
        }
        self.flush(cookie, at, Why::Ended);
        self.make_room(at);
    }

    /// Time goes on: writes what has waited for long enough. To be called a few times a second.
    pub fn tick(&mut self, now: Timestamp) {
        let flush = self.disk.settings.flush;
        while let Some(&(since, cookie)) = self.order.front() {
            // A clock that went back makes nobody wait longer.
            if now.since(since).is_some_and(|waited| waited < flush) {
                break;
            }
            let waits = |connection: &Connection| {
                connection.since == since && !connection.waiting.is_empty()
            };
            if self.connections.get(&cookie).is_some_and(waits)
                && !self.flush(cookie, now, Why::Due)
            {
                break;
            }
            self.order.pop_front();
        }
        // Those who were written before their time came.
        if self.order.len() > 2 * self.connections.len() + 1024 {
            let connections = &self.connections;
            self.order.retain(|&(since, cookie)| {
                let connection = connections.get(&cookie);
                connection.is_some_and(|known| known.since == since && !known.waiting.is_empty())
            });
        }
    }

    /// Writes all that waits. What cannot be written now is dropped and counted.
    pub fn finish(&mut self) -> ArchiveCounters {
        self.finish_telling(&mut |_| {})
    }

    /// The same; tells how far it has come, for it may be much.
    pub fn finish_telling(&mut self, tell: &mut dyn FnMut(&ArchiveCounters)) -> ArchiveCounters {
        self.disk.failed = None;
        for cookie in self.cookies() {
            // One may be in the way of a file, another not.
            self.disk.failed = None;
            if !self.flush(cookie, Timestamp::MAX, Why::Finish) {
                self.drop_lines(cookie);
            }
            tell(&self.disk.counters);
        }
        self.connections.clear();
        self.order.clear();
        self.disk.counters
    }

    /// What has become of lines so far.
    #[must_use]
    pub fn counters(&self) -> &ArchiveCounters {
        &self.disk.counters
    }

    /// Bytes of lines that wait.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Why nothing can be written, once each time that it begins.
    pub fn take_trouble(&mut self) -> Option<String> {
        self.disk.trouble.take()
    }

    fn line(&mut self, at: Timestamp, first_seen: Timestamp, cookie: u64, line: &Line<'_>) {
        if cookie == 0 || cookie == u64::MAX {
            self.disk.counters.without_cookie += 1;
            return;
        }
        let segment = self.disk.settings.segment;
        let is_due = |connection: &Connection| {
            at.since(connection.began)
                .is_some_and(|passed| passed >= segment)
        };
        if self.connections.get(&cookie).is_some_and(is_due) {
            self.next_segment(at, cookie);
        }
        let connection = self.connections.entry(cookie).or_insert(Connection {
            first_seen,
            began: at,
            dated: first_seen,
            sequence: 0,
            has_file: false,
            is_over: false,
            waiting: Vec::new(),
            records: 0,
            since: at,
        });
        if connection.waiting.is_empty() {
            connection.since = at;
            self.order.push_back((at, cookie));
        }
        let before = connection.waiting.len();
        let left_out = line.write(&mut connection.waiting, &mut self.disk.clock);
        connection.records += 1;
        self.pending += connection.waiting.len() - before;
        self.disk.counters.records += 1;
        self.disk.counters.attributes_left_out += left_out;
    }

    /// What waits goes to the old segment; if it cannot, that goes on.
    fn next_segment(&mut self, at: Timestamp, cookie: u64) {
        if !self.flush(cookie, at, Why::Segment) {
            return;
        }
        if let Some(connection) = self.connections.get_mut(&cookie) {
            connection.sequence += u32::from(connection.has_file);
            connection.has_file = false;
            (connection.began, connection.dated) = (at, at);
        }
    }

    /// Writes the lines of a connection; `false`: they still wait.
    fn flush(&mut self, cookie: u64, now: Timestamp, why: Why) -> bool {
        let Some(connection) = self.connections.get_mut(&cookie) else {
            return true;
        };
        if !connection.waiting.is_empty() {
            if !self.disk.write(cookie, connection, now, why) {
                return false;
            }
            self.pending -= mem::take(&mut connection.waiting).len();
            connection.records = 0;
        }
        if connection.is_over {
            self.connections.remove(&cookie);
        }
        true
    }

    /// Keeps to the bounds.
    fn make_room(&mut self, now: Timestamp) {
        let limit = self.disk.settings.limit_pending;
        if self.pending > limit {
            while self.pending > limit / 4 * 3 {
                let Some((_, cookie)) = self.order.pop_front() else {
                    break;
                };
                if !self.flush(cookie, now, Why::Full) {
                    self.drop_lines(cookie);
                }
            }
        }
        if self.connections.len() > self.disk.settings.limit_connections {
            for cookie in self.cookies() {
                if !self.flush(cookie, now, Why::Full) {
                    self.drop_lines(cookie);
                }
                // One that had ended is gone already.
                let known = self.connections.remove(&cookie);
                self.disk.counters.forgotten += u64::from(known.is_some());
            }
        }
    }

    /// Of all connections, in order.
    fn cookies(&self) -> Vec<u64> {
        let mut cookies: Vec<u64> = self.connections.keys().copied().collect();
        cookies.sort_unstable();
        cookies
    }

    fn drop_lines(&mut self, cookie: u64) {
        let Some(connection) = self.connections.get_mut(&cookie) else {
            return;
        };
        self.pending -= mem::take(&mut connection.waiting).len();
        self.disk.counters.dropped += u64::from(mem::take(&mut connection.records));
        if connection.is_over {
            self.connections.remove(&cookie);
        }
    }
}
