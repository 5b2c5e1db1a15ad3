//! Several capture files as one observation: their packets in the order of time, ties in the order
//! of the files, each file's own order kept even where its time goes back. One file is passed
//! through untouched.
//!
//! Files that do not overlap, a rotated capture's for example, cost no copy: whole batches change
//! hands. A file is opened when its first packet's turn comes and closed at its end, so thousands
//! of them need few descriptors.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tcplens_core::packet::{Batch, Interface};
use tcplens_core::time::Timestamp;

use super::error::{Damage, FileError};
use super::reader::{FileSource, Options, Status, make_room};
use super::{BLOCK, MAX_INTERFACES};

/// Bytes read to find a file's first packet.
const PEEK_BLOCK: usize = 16 * 1024;
/// Interfaces of one observation. Chosen: sixteen full files.
const MAX_ALL_INTERFACES: usize = 16 * MAX_INTERFACES;

/// A reader of one capture file or of several as one observation.
///
/// Followed files do not wait for each other: what a file says late comes late.
pub struct MergedSource {
    /// In the order in which they were named.
    members: Vec<Member>,
    interfaces: Arc<Vec<Interface>>,
    options: Options,
    /// Files that could be opened first and could not when it was their turn.
    lost: Vec<Damage>,
    /// An error that comes after the packets that were there before it.
    failed: Option<FileError>,
}

/// One of the files.
struct Member {
    path: PathBuf,
    state: State,
    batch: Batch,
    /// The next packet of `batch`.
    next: usize,
    /// Index in the observation's table by the index in the file's.
    map: Vec<u32>,
    position: (u64, Option<u64>),
}

enum State {
    /// Closed; its first packet is of this time.
    Later(Timestamp),
    Open(FileSource),
    /// At its end.
    Done(Option<FileSource>),
}

impl MergedSource {
    /// Opens files, `-` for standard input, in the order that breaks ties of time.
    ///
    /// # Errors
    /// One of them cannot be opened or read, is empty, or is no capture; see [`FileSource::open`].
    pub fn open<P: AsRef<Path>>(paths: &[P], options: Options) -> Result<MergedSource, FileError> {
        let is_alone = paths.len() == 1;
        let members = paths
            .iter()
            .map(|path| Member::open(path.as_ref(), options, is_alone));
        let members = members.collect::<Result<_, _>>()?;
        Ok(MergedSource {
            members,
            interfaces: Arc::default(),
            options,
            lost: Vec::new(),
            failed: None,
        })
    }

    /// Fills `batch` with the next packets. What was in it is overwritten; its buffers are reused,
    /// also for other files. `batch.bytes` is a work buffer: its length says nothing.
    ///
    /// # Errors
    /// A pipe or followed file turns out to be no capture, or there are too many interfaces.
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<Status, FileError> {
        if let [
            Member {
                state: State::Open(source),
                ..
            },
        ] = self.members.as_mut_slice()
        {
            return source.next_batch(batch);
        }
        batch.packets.clear();
        let status = self.merge(batch);
        if !Arc::ptr_eq(&batch.interfaces, &self.interfaces) {
            batch.interfaces = Arc::clone(&self.interfaces);
        }
        let status = status?;
        if status == Status::Idle && !self.options.wait.is_zero() {
            std::thread::sleep(self.options.wait);
        }
        Ok(status)
    }

    /// Whether `path` is one of the files, whatever its name: who writes there would destroy what is
    /// read here. Ask before [`super::CaptureWriter::create`].
    #[must_use]
    pub fn reads(&self, path: &Path) -> bool {
        let identity = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
        };
        let Some(asked) = identity(path) else {
            return false;
        };
        self.members
            .iter()
            .any(|member| identity(&member.path) == Some(asked))
    }

    /// Bytes of the stored (compressed) files that were read so far, and their size if that is
    /// known.
    #[must_use]
    pub fn position(&self) -> (u64, Option<u64>) {
        let each = self.members.iter().map(|member| match &member.state {
            State::Later(_) => (0, member.position.1),
            State::Open(source) | State::Done(Some(source)) => source.position(),
            State::Done(None) => member.position,
        });
        each.fold((0, Some(0)), |(read, total), (more, size)| {
            (
                read + more,
                total
                    .zip(size)
                    .map(|(total, size): (u64, u64)| total + size),
            )
        })
    }

    /// The places where files are damaged, of what was read so far.
    pub fn damages(&self) -> impl Iterator<Item = &Damage> {
        self.read_sources()
            .flat_map(FileSource::damages)
            .chain(&self.lost)
    }

    /// Damages that [`MergedSource::damages`] no longer holds; see [`FileSource::damages`].
    #[must_use]
    pub fn further_damages(&self) -> u64 {
        self.read_sources().map(FileSource::further_damages).sum()
    }

    fn read_sources(&self) -> impl Iterator<Item = &FileSource> {
        self.members
            .iter()
            .filter_map(|member| match &member.state {
                State::Open(source) | State::Done(Some(source)) => Some(source),
                State::Later(_) | State::Done(None) => None,
            })
    }

    fn merge(&mut self, batch: &mut Batch) -> Result<Status, FileError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut filled = 0;
        loop {
            let is_waiting = match self.refill() {
                Err(error) if !batch.packets.is_empty() => {
                    self.failed = Some(error);
                    return Ok(Status::Packets);
                }
                refilled => refilled?,
            };
            // In a file, what is not there yet may be earlier than all that is there.
            let may_go_on = self.options.follow || !is_waiting;
            let first = self.first_of(|_| true).filter(|_| may_go_on);
            let Some((time, first)) = first else {
                return Ok(match (batch.packets.is_empty(), is_waiting) {
                    (false, _) => Status::Packets,
                    (true, true) => Status::Idle,
                    (true, false) => Status::End,
                });
            };
            let limit = self
                .first_of(|other| other != first)
                .unwrap_or((Timestamp::MAX, usize::MAX));
            let options = self.member_options();
            let Some(member) = self.members.get_mut(first) else {
                return Ok(Status::End);
            };
            if matches!(member.state, State::Later(_)) {
                if let Err(error) = member.reopen(options) {
                    let file = member.path.display().to_string();
                    self.lost.push(Damage {
                        file,
                        at: 0,
                        decompressed: false,
                        what: error.to_string(),
                    });
                }
                continue;
            }
            debug_assert!((time, first) <= limit, "the first is not the first");
            let waiting = member.batch.packets.get(member.next..).unwrap_or_default();
            let run = waiting
                .iter()
                .take_while(|packet| (packet.time, first) <= limit)
                .count();
            if batch.packets.is_empty() && member.next == 0 && run == waiting.len() {
                std::mem::swap(&mut batch.bytes, &mut member.batch.bytes);
                std::mem::swap(&mut batch.packets, &mut member.batch.packets);
                member.batch.packets.clear();
                return Ok(Status::Packets);
            }
            let room = BLOCK.saturating_sub(filled);
            let copied = member.copy(run, room, batch, &mut filled);
            if copied < run {
                return Ok(Status::Packets);
            }
        }
    }

    /// Time and place of the earliest packet of the members that `is_asked` names.
    fn first_of(&self, is_asked: impl Fn(usize) -> bool) -> Option<(Timestamp, usize)> {
        let asked = self
            .members
            .iter()
            .enumerate()
            .filter(|(place, _)| is_asked(*place));
        asked
            .filter_map(|(place, member)| Some((member.first_time()?, place)))
            .min()
    }

    /// Gives every open file a batch to take from; says whether one has nothing now.
    fn refill(&mut self) -> Result<bool, FileError> {
        let mut is_waiting = false;
        for member in &mut self.members {
            while member.batch.packets.len() <= member.next {
                let State::Open(source) = &mut member.state else {
                    break;
                };
                member.next = 0;
                match source.next_batch(&mut member.batch)? {
                    Status::Packets => member.enter(&mut self.interfaces)?,
                    Status::Idle => {
                        is_waiting = true;
                        break;
                    }
                    Status::End => member.finish(),
                }
            }
        }
        Ok(is_waiting)
    }

    /// The members do not wait: one of them would hold up the others.
    fn member_options(&self) -> Options {
        Options {
            wait: std::time::Duration::ZERO,
            ..self.options
        }
    }
}

impl Member {
    fn open(path: &Path, options: Options, is_alone: bool) -> Result<Member, FileError> {
        let wait = if is_alone {
            options.wait
        } else {
            std::time::Duration::ZERO
        };
        let source = FileSource::open(path, Options { wait, ..options })?;
        let position = source.position();
        let path = path.to_owned();
        let batch = Batch::default();
        let mut member = Member {
            path,
            state: State::Open(source),
            batch,
            next: 0,
            map: Vec::new(),
            position,
        };
        if !is_alone {
            member.peek(options)?;
        }
        Ok(member)
    }

    /// Finds the time of the first packet and closes the file again, if it is one that can be
    /// opened twice.
    fn peek(&mut self, options: Options) -> Result<(), FileError> {
        let State::Open(source) = &mut self.state else {
            return Ok(());
        };
        if options.follow || !source.is_regular() {
            return Ok(());
        }
        source.set_block(PEEK_BLOCK);
        let mut batch = Batch::default();
        while source.next_batch(&mut batch)? == Status::Idle {}
        match batch.packets.first() {
            Some(packet) => self.state = State::Later(packet.time),
            None => self.finish(),
        }
        Ok(())
    }

    fn reopen(&mut self, options: Options) -> Result<(), FileError> {
        self.state = State::Done(None);
        let source = FileSource::open(&self.path, options)?;
        self.state = State::Open(source);
        Ok(())
    }

    /// At the file's end: keeps what it has to say, frees its buffers.
    fn finish(&mut self) {
        self.batch = Batch::default();
        self.state = match std::mem::replace(&mut self.state, State::Done(None)) {
            State::Open(source) => State::Done(Some(source)),
            other => other,
        };
    }

    fn first_time(&self) -> Option<Timestamp> {
        match self.state {
            State::Later(time) => Some(time),
            State::Open(_) | State::Done(_) => Some(self.batch.packets.get(self.next)?.time),
        }
    }

    /// Gives a new batch's packets the observation's interface indexes.
    fn enter(&mut self, all: &mut Arc<Vec<Interface>>) -> Result<(), FileError> {
        let new = self
            .batch
            .interfaces
            .get(self.map.len()..)
            .unwrap_or_default();
        if all.len() + new.len() > MAX_ALL_INTERFACES {
            let file = self.path.display().to_string();
            return Err(FileError::Interfaces {
                file,
                limit: MAX_ALL_INTERFACES,
            });
        }
        for interface in new {
            self.map.push(all.len() as u32);
            Arc::make_mut(all).push(interface.clone());
        }
        for packet in &mut self.batch.packets {
            let known = self.map.get(packet.interface as usize);
            debug_assert!(known.is_some(), "a packet's interface is in its batch");
            packet.interface = known.copied().unwrap_or_default();
        }
        Ok(())
    }

    /// Copies up to `run` packets, as many as begin within `room` bytes; says how many. One copy
    /// for all of them: in a file's batch later packets lie behind earlier ones.
    fn copy(&mut self, run: usize, room: usize, batch: &mut Batch, filled: &mut usize) -> usize {
        let waiting = self.batch.packets.get(self.next..).unwrap_or_default();
        let Some(start) = waiting.first().map(|packet| packet.at) else {
            return 0;
        };
        let fits = |end: u32| (end - start) as usize <= room;
        let count = waiting
            .iter()
            .take(run)
            .take_while(|packet| fits(packet.at + packet.captured))
            .count();
        // A packet that is larger than a batch has one to itself.
        let count = if count == 0 && batch.packets.is_empty() {
            1
        } else {
            count
        };
        let Some(taken) = waiting.get(..count) else {
            return 0;
        };
        let Some(end) = taken.last().map(|packet| packet.at + packet.captured) else {
            return 0;
        };
        let bytes = self
            .batch
            .bytes
            .get(start as usize..end as usize)
            .unwrap_or_default();
        make_room(&mut batch.bytes, *filled + bytes.len());
        batch.bytes[*filled..*filled + bytes.len()].copy_from_slice(bytes);
        let moved = |at: u32| at - start + *filled as u32;
        batch
            .packets
            .extend(taken.iter().map(|packet| tcplens_core::packet::Packet {
                at: moved(packet.at),
                ..*packet
            }));
        *filled += bytes.len();
        self.next += count;
        count
    }
}
