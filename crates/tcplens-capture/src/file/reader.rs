<<<<<<< HEAD
//! One capture file as a source of batches: blocks of bytes in, whole records out, until the end, damage, or for ever
//! (a followed file). The formats are walked in pcap.rs and pcapng.rs, the bytes come from input.rs.
=======
//! One capture file as a source of batches: blocks of bytes in, whole records out, until the end,
//! damage, or for ever (a followed file). The formats are walked in pcap.rs and pcapng.rs, the
//! bytes come from input.rs; the beginning of a file is in begin.rs, what following adds in
//! follow.rs.
>>>>>>> file

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tcplens_core::packet::{Batch, Interface, Packet};

use super::error::{Damage, FileError};
<<<<<<< HEAD
use super::input::{Change, Compression, Input};
use super::pcap::{self, Pcap, Stop};
use super::pcapng::{self, Pcapng};
use super::{BLOCK, MAX_DAMAGES, MAX_INTERFACES};

/// Bytes of a file that is no capture that the error shows.
const SHOWN_HEAD: usize = 16;

/// How files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Go on at the end of the file: its writer may append more, or replace or truncate it and begin anew.
    pub follow: bool,
    /// How long a call may wait for more bytes of a pipe or followed file before it returns [`Status::Idle`].
    /// Plain files never wait.
=======
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
>>>>>>> file
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
<<<<<<< HEAD
    name: String,
    /// None: standard input.
    path: Option<PathBuf>,
    options: Options,
    state: State,
    format: Option<Format>,
    /// Bytes that were read and belong to no whole record yet: where the next batch begins.
    carry: Vec<u8>,
    /// Bytes of the record that begins `carry` without which there is nothing to do; more than `carry` has.
    need: usize,
    /// Bytes to ask for in one read.
    block: usize,
    /// Offset of `carry` in the decompressed file.
    offset: u64,
    interfaces: Interfaces,
    damages: Vec<Damage>,
    uncounted_damages: u64,
    /// The last position of the file that is closed now.
    position: (u64, Option<u64>),
    /// The followed file was replaced; it is read to its end once more.
    saw_replaced: bool,
    /// This is not the first file at the path.
    is_restarted: bool,
}

enum State {
=======
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
>>>>>>> file
    Open(Input),
    /// Followed, damaged or gone: waits for another file at its path.
    Waiting(Option<Input>),
    Ended,
}

<<<<<<< HEAD
enum Format {
=======
pub(super) enum Format {
>>>>>>> file
    Pcap { pcap: Pcap, interface: u32 },
    Pcapng(Pcapng),
}

/// The interfaces of a file, shared with the batches.
#[derive(Default)]
pub(super) struct Interfaces {
    list: Arc<Vec<Interface>>,
}

impl Interfaces {
<<<<<<< HEAD
    /// The index of `interface`: of an equal one that is not among `taken` (those of the same section), so that a
    /// section or file that comes after another does not double the table; otherwise a new one.
=======
    /// The index of `interface`: of an equal one that is not among `taken` (those of the same
    /// section), so that a section or file that comes after another does not double the table;
    /// otherwise a new one.
>>>>>>> file
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

<<<<<<< HEAD
/// What the first bytes of a file are.
enum Begin {
    Short(usize),
    Capture(Format, usize),
    Compressed(Compression),
}

impl FileSource {
    /// Opens a file, `-` for standard input. A plain file's header is read at once, so that what is no capture is
    /// an error here; a pipe's or followed file's header may come later, and the error then comes from
    /// [`FileSource::next_batch`].
=======
impl FileSource {
    /// Opens a file, `-` for standard input. A plain file's header is read at once, so that what is
    /// no capture is an error here; a pipe's or followed file's header may come later, and the
    /// error then comes from [`FileSource::next_batch`]. Opening a named pipe waits for its writer.
>>>>>>> file
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

<<<<<<< HEAD
    /// Bytes of the stored (compressed) file that were read so far, and its size if that is known: for a progress bar.
=======
    /// Bytes of the stored (compressed) file that were read so far, and its size if that is known:
    /// for a progress bar.
>>>>>>> file
    #[must_use]
    pub fn position(&self) -> (u64, Option<u64>) {
        match &self.state {
            State::Open(input) | State::Waiting(Some(input)) => input.position(),
            State::Waiting(None) | State::Ended => self.position,
        }
    }

<<<<<<< HEAD
    /// Where the file is damaged: nothing, or one place; a followed file goes on with the next file at its path and
    /// can have more, of which the first [`MAX_DAMAGES`] are kept.
=======
    /// Where the file is damaged: nothing, or one place; a followed file goes on with the next file
    /// at its path and can have more, of which the first [`MAX_DAMAGES`] are kept.
>>>>>>> file
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }

    /// Damages that are not in [`FileSource::damages`].
    #[must_use]
    pub fn further_damages(&self) -> u64 {
        self.uncounted_damages
    }

<<<<<<< HEAD
    /// Fills `batch` with the next packets of the file, in its order. What was in the batch is overwritten; its
    /// buffers are reused. `batch.bytes` is a work buffer: its length says nothing.
=======
    /// Fills `batch` with the next packets of the file, in its order. What was in the batch is
    /// overwritten; its buffers are reused. `batch.bytes` is a work buffer: its length says
    /// nothing.
>>>>>>> file
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

<<<<<<< HEAD
=======
    pub(super) fn is_regular(&self) -> bool {
        matches!(&self.state, State::Open(input) if input.is_regular())
    }

>>>>>>> file
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

<<<<<<< HEAD
    /// Reads the header, if it is there. `None`: the format is known.
    fn begin(&mut self) -> Result<Option<Status>, FileError> {
        loop {
            let State::Open(input) = &mut self.state else {
                return Ok(Some(self.nothing_now()));
            };
            let held = self.carry.len();
            self.carry.resize(self.need, 0);
            let read = input.read(&mut self.carry[held..]);
            self.carry.truncate(held + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return self.no_header().map(Some),
                Ok(_) => {}
                Err(error) if is_nothing_now(&error) => return Ok(Some(Status::Idle)),
                Err(error) if error.raw_os_error().is_some() => {
                    return Err(FileError::Read {
                        file: self.name.clone(),
                        error,
                    });
                }
                Err(error) => {
                    let what = read_damage(input.is_compressed(), &error);
                    self.damage(what);
                    return Ok(Some(self.nothing_now()));
                }
            }
            match self.recognise()? {
                Begin::Short(need) => self.need = need,
                Begin::Compressed(compression) => self.decompress(compression)?,
                Begin::Capture(format, header) => {
                    self.format = Some(format);
                    self.offset = header as u64;
                    self.carry.drain(..header);
                    self.need = self.carry.len() + 1;
                    return Ok(None);
                }
            }
        }
    }

    /// What the bytes in `carry` begin.
    fn recognise(&mut self) -> Result<Begin, FileError> {
        let State::Open(input) = &self.state else {
            return Ok(Begin::Short(self.need));
        };
        if let Some(compression) = Compression::of(&self.carry).filter(|_| !input.is_compressed()) {
            return Ok(Begin::Compressed(compression));
        }
        let unsupported = |what| {
            Err(FileError::Unsupported {
                file: self.name.clone(),
                what,
            })
        };
        match pcap::head(&self.carry) {
            pcap::Head::Short(need) if need > self.carry.len() => return Ok(Begin::Short(need)),
            pcap::Head::Unsupported(what) => return unsupported(what),
            pcap::Head::Pcap {
                pcap,
                interface,
                length,
            } => {
                // The table is as large as the number of different files followed, at most.
                let Some(interface) = self.interfaces.index(interface, |_| false) else {
                    return unsupported(format!("more than {MAX_INTERFACES} interfaces"));
                };
                return Ok(Begin::Capture(Format::Pcap { pcap, interface }, length));
            }
            pcap::Head::Short(_) | pcap::Head::No => {}
        }
        match pcapng::head(&self.carry) {
            pcapng::Head::Short(need) => Ok(Begin::Short(need)),
            pcapng::Head::Unsupported(what) => unsupported(what),
            pcapng::Head::Pcapng => Ok(Begin::Capture(Format::Pcapng(Pcapng::default()), 0)),
            pcapng::Head::No if self.carry.len() < SHOWN_HEAD => Ok(Begin::Short(SHOWN_HEAD)),
            pcapng::Head::No => Err(self.not_a_capture()),
        }
    }

    fn decompress(&mut self, compression: Compression) -> Result<(), FileError> {
        let State::Open(input) = std::mem::replace(&mut self.state, State::Ended) else {
            return Ok(());
        };
        if self.options.follow && input.is_regular() {
            let what = "a compressed file cannot be followed; read it without --follow".to_owned();
            return Err(FileError::Unsupported {
                file: self.name.clone(),
                what,
            });
        }
        let head = std::mem::take(&mut self.carry);
        self.need = 4;
        let input = input.decompress(compression, head);
        let input = input.map_err(|error| FileError::Read {
            file: self.name.clone(),
            error,
        })?;
        self.state = State::Open(input);
        Ok(())
    }

    /// The file ends before its header does.
    fn no_header(&mut self) -> Result<Status, FileError> {
        if self.is_followed() {
            return Ok(self.wait_at_end());
        }
        if self.carry.is_empty() {
            return Err(FileError::Empty {
                file: self.name.clone(),
            });
        }
        let is_capture = self.carry.len() >= 4
            && self.need > 4
            && !matches!(
                (pcap::head(&self.carry), pcapng::head(&self.carry)),
                (pcap::Head::No, pcapng::Head::No)
            );
        if !is_capture {
            return Err(self.not_a_capture());
        }
        self.damage(format!(
            "the file header is cut, {} of {} bytes are there",
            self.carry.len(),
            self.need
        ));
        Ok(self.nothing_now())
    }

    fn not_a_capture(&self) -> FileError {
        let head = self.carry.iter().copied().take(SHOWN_HEAD).collect();
        FileError::NotCapture {
            file: self.name.clone(),
            head,
        }
    }

=======
>>>>>>> file
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
<<<<<<< HEAD
    fn cut(&self) -> Option<String> {
        let is_inside =
            matches!(&self.format, Some(Format::Pcapng(pcapng)) if pcapng.is_inside_block());
        if is_inside {
=======
    pub(super) fn cut(&self) -> Option<String> {
        if self.inside_block().is_some() {
>>>>>>> file
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

<<<<<<< HEAD
    /// Whether the end of the file is not the end.
    fn is_followed(&self) -> bool {
        let is_regular = matches!(&self.state, State::Open(input) if input.is_regular());
        self.options.follow && is_regular
    }

    /// At the end of a followed file: another file may have taken its place.
    fn wait_at_end(&mut self) -> Status {
        let (State::Open(input), Some(path)) = (&self.state, &self.path) else {
            self.pause();
            return Status::Idle;
        };
        match input.change(path) {
            Change::None => self.pause(),
            // What its writer appended between our read and the replacement comes first.
            Change::Replaced if !self.saw_replaced => self.saw_replaced = true,
            Change::Replaced | Change::Shrunk => {
                if let Some(what) = self.cut() {
                    self.remember(what);
                }
                self.restart();
            }
        }
        Status::Idle
    }

    /// What to say without an open file.
    fn nothing_now(&mut self) -> Status {
        match (&self.state, &self.path) {
            (State::Ended, _) => Status::End,
            (State::Open(_), _) => Status::Idle,
            (State::Waiting(Some(input)), Some(path)) if input.change(path) == Change::None => {
                self.pause();
                Status::Idle
            }
            (State::Waiting(_), _) => {
                self.restart();
                Status::Idle
            }
        }
    }

    /// Begins anew with the file that is at the path now.
    fn restart(&mut self) {
        self.position = self.position();
        self.format = None;
        self.carry.clear();
        (self.need, self.offset, self.saw_replaced, self.is_restarted) = (4, 0, false, true);
        let Some(path) = &self.path else { return };
        match Input::open(path, self.options.wait) {
            Ok(input) => self.state = State::Open(input),
            Err(error) => {
                let is_new = !matches!(self.state, State::Waiting(None));
                self.state = State::Waiting(None);
                if is_new {
                    self.remember(format!("the next file there cannot be opened: {error}"));
                }
                self.pause();
            }
        }
    }

    fn pause(&self) {
        if !self.options.wait.is_zero() {
            std::thread::sleep(self.options.wait);
=======
    /// Bytes before `offset` that belong to a block that is not passed yet.
    fn inside_block(&self) -> Option<usize> {
        match &self.format {
            Some(Format::Pcapng(pcapng)) => pcapng.inside_block(),
            Some(Format::Pcap { .. }) | None => None,
>>>>>>> file
        }
    }

    /// Remembers a damage at `offset` and stops reading this file.
<<<<<<< HEAD
    fn damage(&mut self, what: String) {
=======
    pub(super) fn damage(&mut self, what: String) {
>>>>>>> file
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

<<<<<<< HEAD
    fn remember(&mut self, what: String) {
=======
    pub(super) fn remember(&mut self, what: String) {
>>>>>>> file
        if self.damages.len() >= MAX_DAMAGES {
            self.uncounted_damages += 1;
            return;
        }
        let decompressed = matches!(&self.state, State::Open(input) if input.is_compressed());
        self.damages.push(Damage {
            file: self.name.clone(),
<<<<<<< HEAD
            at: self.offset,
=======
            at: self.offset - self.inside_block().unwrap_or_default() as u64,
>>>>>>> file
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

<<<<<<< HEAD
fn read_damage(is_compressed: bool, error: &io::Error) -> String {
=======
pub(super) fn read_damage(is_compressed: bool, error: &io::Error) -> String {
>>>>>>> file
    if is_compressed && error.raw_os_error().is_none() {
        return format!("the compressed data end early or are damaged ({error})");
    }
    format!("cannot read on: {error}")
}

<<<<<<< HEAD
fn is_nothing_now(error: &io::Error) -> bool {
=======
pub(super) fn is_nothing_now(error: &io::Error) -> bool {
>>>>>>> file
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
<<<<<<< HEAD
fn make_room(bytes: &mut Vec<u8>, length: usize) {
=======
pub(super) fn make_room(bytes: &mut Vec<u8>, length: usize) {
>>>>>>> file
    if bytes.len() < length {
        bytes.resize(length, 0);
    }
}
