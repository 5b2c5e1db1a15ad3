//! The beginning of a file: what its first bytes say it is, and what a file is called that is none
//! of ours. After it, reader.rs walks records.

use super::MAX_INTERFACES;
use super::error::FileError;
use super::input::Compression;
use super::pcap;
use super::pcapng::{self, Pcapng};
use super::reader::{FileSource, Format, State, Status, is_nothing_now, read_damage};

/// Bytes of a file that is no capture that the error shows.
const SHOWN_HEAD: usize = 16;

/// What the first bytes of a file are.
enum Begin {
    Short(usize),
    Capture(Format, usize),
    Compressed(Compression),
}

impl FileSource {
    /// Reads the header, if it is there. `None`: the format is known.
    pub(super) fn begin(&mut self) -> Result<Option<Status>, FileError> {
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
}
