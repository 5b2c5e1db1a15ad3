//! One capture file as a source of batches: blocks of bytes in, whole records out, until the end,
//! damage, or for ever (a followed file). The formats are walked in pcap.rs and pcapng.rs, the
//! bytes come from input.rs; the beginning of a file is in begin.rs, what following adds in
//! follow.rs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tcplens_core::packet::{Batch, Interface, Packet};

use super::error::{Damage, FileError};
use super::input::Input;
use super::pcap::{Pcap, Stop};
use super::pcapng::Pcapng;
use super::{BLOCK, MAX_DAMAGES, MAX_INTERFACES};

/// How files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Go on at the end of the file: its writer may append more, or replace or truncate it and
    /// begin anew.
    pub follow: bool,
    /// How long a call may wait for more bytes of a pipe or followed file before it returns
    /// [`Status::Idle`]. Plain files never wait.
    pub wait: Duration,
}

impl Default for Options {
    /// Not followed, 100 ms: a person does not notice, and ten calls a second cost nothing.
    fn default() -> Options {
        Options {
            follow: false,
            wait: Duration::from_millis(100),
        }
    }
}

/// What a call for a batch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There are packets in the batch.
    Packets,
    /// Nothing now; ask again. A good time to flush and to look at signals.
    Idle,
    /// Nothing any more: the end of the file, or the place of a damage.
    End,
}

/// A reader of one capture file.
pub struct FileSource {
    pub(super) name: String,
    /// None: standard input.
    pub(super) path: Option<PathBuf>,
    pub(super) options: Options,
    pub(super) state: State,
    pub(super) format: Option<Format>,
    /// Bytes that were read and belong to no whole record yet: where the next batch begins.
    pub(super) carry: Vec<u8>,
    /// Bytes of the record that begins `carry` without which there is nothing to do; more than
    /// `carry` has.
    pub(super) need: usize,
    /// Bytes to ask for in one read.
    block: usize,
    /// Offset of `carry` in the decompressed file.
    pub(super) offset: u64,
    pub(super) interfaces: Interfaces,
    damages: Vec<Damage>,
    uncounted_damages: u64,
    /// The last position of the file that is closed now.
    pub(super) position: (u64, Option<u64>),
    /// The followed file was replaced; it is read to its end once more.
    pub(super) saw_replaced: bool,
    /// This is not the first file at the path.
    pub(super) is_restarted: bool,
}

pub(super) enum State {
    Open(Input),
    /// Followed, damaged or gone: waits for another file at its path.
    Waiting(Option<Input>),
    Ended,
}

pub(super) enum Format {
    Pcap { pcap: Pcap, interface: u32 },
    Pcapng(Pcapng),
}

/// The interfaces of a file, shared with the batches.
#[derive(Default)]
pub(super) struct Interfaces {
    list: Arc<Vec<Interface>>,
}

impl Interfaces {
    /// The index of `interface`: of an equal one that is not among `taken` (those of the same
    /// section), so that a section or file that comes after another does not double the table;
    /// otherwise a new one.
    pub(super) fn index(
        &mut self,
        interface: Interface,
        is_taken: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let known = (0u32..)
            .zip(self.list.iter())
            .find(|(i, known)| **known == interface && !is_taken(*i));
        if let Some((index, _)) = known {
            return Some(index);
        }
        if self.list.len() >= MAX_INTERFACES {
            return None;
        }
        Arc::make_mut(&mut self.list).push(interface);
        u32::try_from(self.list.len() - 1).ok()
    }
}

impl Format {
    fn walk(
        &mut self,
        block: &[u8],
        packets: &mut Vec<Packet>,
        interfaces: &mut Interfaces,
    ) -> (usize, Stop) {
        match self {
            Format::Pcap { pcap, interface } => pcap.walk(block, *interface, packets),
            Format::Pcapng(pcapng) => pcapng.walk(block, packets, interfaces),
        }
    }
}

impl FileSource {
    /// Opens a file, `-` for standard input. A plain file's header is read at once, so that what is
    /// no capture is an error here; a pipe's or followed file's header may come later, and the
    /// error then comes from [`FileSource::next_batch`]. Opening a named pipe waits for its writer.
    ///
    /// # Errors
    /// The file cannot be opened or read, is empty, or is no capture.
    pub fn open(path: &Path, options: Options) -> Result<FileSource, FileError> {
        let is_stdin = path.as_os_str() == "-";
        let name = if is_stdin {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let path = if is_stdin {
            None
        } else {
            Some(path.to_owned())
        };
        let input = match &path {
            Some(path) => Input::open(path, options.wait),
            None => Input::stdin(options.wait),
        };
        let input = input.map_err(|error| open_error(&name, error))?;
        let is_lazy = options.follow || !input.is_regular();
        let mut source = FileSource {
            name,
            path,
            options,
            state: State::Open(input),
            format: None,
            carry: Vec::new(),
            need: 4,
            block: BLOCK,
            offset: 0,
            interfaces: Interfaces::default(),
            damages: Vec::new(),
            uncounted_damages: 0,
            position: (0, None),
            saw_replaced: false,
            is_restarted: false,
        };
        if !is_lazy {
            while source.begin()? == Some(Status::Idle) {}
        }
        Ok(source)
    }

    /// The file as the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of the stored (compressed) file that were read so far, and its size if that is known:
    /// for a progress bar.
    #[must_use]
    pub fn position(&self) -> (u64, Option<u64>) {
        match &self.state {
            State::Open(input) | State::Waiting(Some(input)) => input.position(),
            State::Waiting(None) | State::Ended => self.position,
        }
    }

    /// Where the file is damaged: nothing, or one place; a followed file goes on with the next file
    /// at its path and can have more, of which the first [`MAX_DAMAGES`] are kept.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// Damages that are not in [`FileSource::damages`].
    #[must_use]
    pub fn further_damages(&self) -> u64 {
        self.uncounted_damages
    }

    /// Fills `batch` with the next packets of the file, in its order. What was in the batch is
    /// overwritten; its buffers are reused. `batch.bytes` is a work buffer: its length says
    /// nothing.
    ///
    /// # Errors
    /// A pipe or followed file turns out to be no capture. After an error the source is at its end.
    pub fn next_batch(&mut self, batch: &mut Batch) -> Result<Status, FileError> {
        batch.packets.clear();
        let result = self.fill(batch);
        if result.is_err() {
            self.end();
        }
        if !Arc::ptr_eq(&batch.interfaces, &self.interfaces.list) {
            batch.interfaces = Arc::clone(&self.interfaces.list);
        }
        result
    }

    /// Reads smaller blocks, for a caller that wants only the first packet.
    pub(super) fn set_block(&mut self, block: usize) {
        self.block = block;
    }

    pub(super) fn is_regular(&self) -> bool {
        matches!(&self.state, State::Open(input) if input.is_regular())
    }

    fn fill(&mut self, batch: &mut Batch) -> Result<Status, FileError> {
        if self.format.is_none() && matches!(self.state, State::Open(_)) {
            let begun = match self.begin() {
                Err(error) if self.is_restarted => {
                    self.damage(error.to_string());
                    Some(Status::Idle)
                }
                begun => begun?,
            };
            if let Some(status) = begun {
                return Ok(status);
            }
        }
        let Some(format) = &mut self.format else {
            return Ok(self.nothing_now());
        };
        let State::Open(input) = &mut self.state else {
            return Ok(self.nothing_now());
        };
        let bytes = &mut batch.bytes;
        let mut held = self.carry.len();
        make_room(bytes, self.block.max(self.need).max(held));
        bytes[..held].copy_from_slice(&self.carry);
        loop {
            let end = self.block.max(self.need).min(bytes.len());
            let read = match input.read(&mut bytes[held..end]) {
                Ok(read) => read,
                Err(error) => {
                    keep(&mut self.carry, &bytes[..held]);
                    if is_nothing_now(&error) {
                        return Ok(Status::Idle);
                    }
                    let what = read_damage(input.is_compressed(), &error);
                    self.damage(what);
                    return Ok(self.nothing_now());
                }
            };
            if read == 0 {
                keep(&mut self.carry, &bytes[..held]);
                return Ok(self.at_end());
            }
            held += read;
            let (walked, stop) =
                format.walk(&bytes[..held], &mut batch.packets, &mut self.interfaces);
            self.offset += walked as u64;
            let damage = match stop {
                Stop::Short { need } => {
                    self.need = need;
                    None
                }
                Stop::Damaged(what) => Some(what),
            };
            let has_packets = !batch.packets.is_empty();
            if let Some(what) = damage {
                self.damage(what);
                return Ok(if has_packets {
                    Status::Packets
                } else {
                    self.nothing_now()
                });
            }
            if has_packets {
                keep(&mut self.carry, &bytes[walked..held]);
                return Ok(Status::Packets);
            }
            bytes.copy_within(walked..held, 0);
            held -= walked;
            make_room(bytes, self.need);
        }
    }

    /// A read came to the end of the file; `carry` is up to date.
    fn at_end(&mut self) -> Status {
        if self.is_followed() {
            return self.wait_at_end();
        }
        if let Some(what) = self.cut() {
            self.damage(what);
        } else {
            self.end();
        }
        Status::End
    }

    /// What the end of the file cuts.
    pub(super) fn cut(&self) -> Option<String> {
        if self.inside_block().is_some() {
            return Some("the file ends inside a block".to_owned());
        }
        let held = self.carry.len();
        let what = || {
            format!(
                "the file ends inside a record, {held} of at least {} bytes are there",
                self.need
            )
        };
        (held > 0).then(what)
    }

    /// Bytes before `offset` that belong to a block that is not passed yet.
    fn inside_block(&self) -> Option<usize> {
        match &self.format {
            Some(Format::Pcapng(pcapng)) => pcapng.inside_block(),
            Some(Format::Pcap { .. }) | None => None,
        }
    }

    /// Remembers a damage at `offset` and stops reading this file.
    pub(super) fn damage(&mut self, what: String) {
        self.remember(what);
        self.carry = Vec::new();
        if self.is_followed() && self.path.is_some() {
            let State::Open(input) = std::mem::replace(&mut self.state, State::Ended) else {
                return;
            };
            self.state = State::Waiting(Some(input));
        } else {
            self.end();
        }
    }

    pub(super) fn remember(&mut self, what: String) {
        if self.damages.len() >= MAX_DAMAGES {
            self.uncounted_damages += 1;
            return;
        }
        let decompressed = matches!(&self.state, State::Open(input) if input.is_compressed());
        self.damages.push(Damage {
            file: self.name.clone(),
            at: self.offset - self.inside_block().unwrap_or_default() as u64,
            decompressed,
            what,
        });
    }

    /// Closes the file and frees the buffer.
    fn end(&mut self) {
        self.position = self.position();
        self.carry = Vec::new();
        self.state = State::Ended;
    }
}

fn open_error(name: &str, error: io::Error) -> FileError {
    let file = name.to_owned();
    if error.kind() == io::ErrorKind::IsADirectory {
        return FileError::Directory { file };
    }
    FileError::Open { file, error }
}

pub(super) fn read_damage(is_compressed: bool, error: &io::Error) -> String {
    if is_compressed && error.raw_os_error().is_none() {
        return format!("the compressed data end early or are damaged ({error})");
    }
    format!("cannot read on: {error}")
}

pub(super) fn is_nothing_now(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn keep(carry: &mut Vec<u8>, tail: &[u8]) {
    carry.clear();
    carry.extend_from_slice(tail);
}

/// Zero-fills only what was never used.
pub(super) fn make_room(bytes: &mut Vec<u8>, length: usize) {
    if bytes.len() < length {
        bytes.resize(length, 0);
    }
}
