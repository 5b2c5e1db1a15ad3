//! `--save-slow DIR`: the packets of each slow request as a pcapng file of its own, read in a second pass over the files.
//! A file has the handshake of the connection, a few packets before, the request and its response, a few packets after;
//! the first packet of the request has a comment that says what it was.
//!
//! Bounded: the [`REQUESTS`] slowest, [`PACKETS`] packets each, and of every connection [`HANDSHAKE`] and [`NEIGHBOURS`]
//! packets in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use tcplens_capture::file::{CaptureWriter, MergedSource, Options, Status};
use tcplens_core::engine::link_of;
use tcplens_core::packet::{Batch, Interface, Packet};
use tcplens_core::record::{ConnectionId, Request, Verdict, Word};
use tcplens_core::time::{Span, Timestamp};
use tcplens_core::view::requests::{budget, latency};
use tcplens_core::wire::segment::{FlowKey, Segment, flags};
use tcplens_core::wire::{DecodeSettings, Decoded, Decoder};
use tcplens_output::human::Endpoint;
use tcplens_output::time_style::{TimeFormat, TimeStyle};

use crate::cli::Source;
use crate::status::usage;

/// Requests that are saved: the slowest. Chosen: their files may all be open at once, and a process may have 1024.
const REQUESTS: usize = 500;
/// Packets of one file. Chosen: what a person scrolls through.
const PACKETS: u64 = 2000;
/// Packets of a handshake that are kept.
const HANDSHAKE: usize = 8;
/// Packets of the connection before and after the request.
const NEIGHBOURS: usize = 10;

/// The slowest requests, until their packets are read.
pub(super) struct SlowRequests {
    directory: PathBuf,
    stop: Arc<AtomicBool>,
    slowest: BTreeMap<Rank, Slow>,
    /// Slow ones that were not as slow as those.
    left_out: u64,
}

/// The least slow first; of equals the latest.
type Rank = (
    Span,
    Reverse<Timestamp>,
    Reverse<ConnectionId>,
    Reverse<u64>,
);

/// One request.
struct Slow {
    flow: FlowKey,
    /// Packet of its first byte.
    frame: u64,
    /// Time of the last byte of its response.
    end: Timestamp,
    name: String,
    comment: String,
}

impl SlowRequests {
    /// Creates the directory.
    ///
    /// # Errors
    /// It cannot be created, has captures of another run, or the packets cannot be read twice.
    pub(super) fn new(
        directory: &Path,
        files: &[PathBuf],
        source: &Source,
    ) -> Result<SlowRequests> {
        let again = "the packets of slow requests are read a second time";
        if source.follow {
            return Err(usage(format!(
                "cannot save slow requests of a followed file: {again}; leave --follow out"
            )));
        }
        let is_stream = |file: &&PathBuf| {
            let is_file = |path: &Path| fs::metadata(path).map_or(true, |file| file.is_file());
            file.as_os_str() == "-" || !is_file(file)
        };
        if let Some(stream) = files.iter().find(is_stream) {
            let name = match stream.as_os_str() == "-" {
                true => "standard input".to_owned(),
                false => stream.display().to_string(),
            };
            return Err(usage(format!(
                "cannot save slow requests of {name}: {again}, which a stream cannot be; save it to a file first"
            )));
        }
        fs::create_dir_all(directory).with_context(|| {
            format!(
                "cannot create {} for slow requests; name a directory with --save-slow",
                directory.display()
            )
        })?;
        check_empty(directory)?;
        Ok(SlowRequests {
            directory: directory.to_owned(),
            stop: Arc::default(),
            slowest: BTreeMap::new(),
            left_out: 0,
        })
    }

    /// Set when the second pass should end.
    pub(super) fn stop_at(&mut self, stop: &Arc<AtomicBool>) {
        self.stop = Arc::clone(stop);
    }

    /// Remembers a slow request, if it is among the slowest.
    pub(super) fn add(&mut self, request: &Request<'_>, flow: &FlowKey) {
        let (Some(latency), Some(frame)) = (latency(request), request.request_frame) else {
            return;
        };
        let rank = (
            latency,
            Reverse(request.time),
            Reverse(request.connection_id),
            Reverse(request.task),
        );
        if self.slowest.len() >= REQUESTS {
            self.left_out += 1;
            if self
                .slowest
                .keys()
                .next()
                .is_some_and(|least| *least >= rank)
            {
                return;
            }
            self.slowest.pop_first();
        }
        let slow = Slow {
            flow: *flow,
            frame,
            end: request.time.plus(latency.ns().min(i64::MAX as u64) as i64),
            name: name(request, latency),
            comment: comment(request, latency),
        };
        self.slowest.insert(rank, slow);
    }

    /// Reads the files again and writes a file for each request. What came of it, in a sentence.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(super) fn save(self, files: &[PathBuf]) -> Result<String> {
        let mut pass = Pass::new(self.directory, self.slowest.into_values());
        let mut source = MergedSource::open(files, Options::default())?;
        let mut decoder = Decoder::new(DecodeSettings::default());
        // Requests over UDP have packets, too.
        decoder.keep_packets();
        let (mut batch, mut segment) = (Batch::default(), Segment::default());
        let mut frame = 0;
        while pass.goes_on()
            && !self.stop.load(Ordering::Relaxed)
            && source.next_batch(&mut batch)? == Status::Packets
        {
            for packet in &batch.packets {
                frame += 1;
                let link = link_of(&batch.interfaces, packet);
                let is_segment =
                    decoder.decode(&batch.bytes, packet, link, &mut segment) == Decoded::Segment;
                let segment = match decoder.datagram() {
                    Some(datagram) if !is_segment => datagram,
                    _ => &segment,
                };
                if is_segment || decoder.datagram().is_some() {
                    let seen = Seen {
                        frame,
                        packet,
                        data: batch.data(packet),
                    };
                    pass.packet(segment, seen, &batch.interfaces)?;
                }
            }
        }
        pass.finish(self.left_out)
    }
}

/// Refuses a directory with files of another run, which would look like those of this one. Other captures may be there, the
/// input among them.
fn check_empty(directory: &Path) -> Result<()> {
    let cannot = || format!("cannot look into {} for slow requests", directory.display());
    let mut known = Vec::new();
    for entry in fs::read_dir(directory).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        let name = name.to_string_lossy();
        if is_own(&name) {
            known.push(name.into_owned());
        }
    }
    known.sort_unstable();
    match known.first() {
        None => Ok(()),
        Some(first) => Err(usage(format!(
            "cannot save slow requests in {}: it has {} of an earlier run ({first}{}), and these would be mixed; remove \
             them, or name another directory",
            directory.display(),
            if known.len() == 1 {
                "a capture"
            } else {
                "captures"
            },
            if known.len() == 1 { "" } else { ", ..." },
        ))),
    }
}

/// `20261121T010827.037420-10.77.0.2_6379-124.500ms-18b9...-3.pcapng`: when, of which server, how long, connection and task.
fn name(request: &Request<'_>, latency: Span) -> String {
    let mut time = String::new();
    TimeFormat::new(TimeStyle::Utc).write(&mut time, request.time);
    let time: String = time
        .chars()
        .filter(|c| c.is_ascii_digit() || " .".contains(*c))
        .map(|c| if c == ' ' { 'T' } else { c })
        .collect();
    let id = request.connection_id.text();
    let id = String::from_utf8_lossy(&id);
    // No colon, which other systems do not have in names.
    let server = request.server_ip.to_string().replace(':', ".");
    format!(
        "{time}-{server}_{}-{}ms-{id}-{}.pcapng",
        request.server_port,
        milliseconds(latency),
        request.task
    )
}

/// Whether a file's name is one that [`name`] gives.
fn is_own(name: &str) -> bool {
    let is = |text: &str, what: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|b| what(&b));
    let is_number = |text: &str| is(text, u8::is_ascii_digit);
    let is_hex = |text: &str| is(text, u8::is_ascii_hexdigit);
    let of_address = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'.';
    let is_fraction = |text: &str| {
        let parts = text.split_once('.');
        parts.is_some_and(|(whole, part)| is_number(whole) && is_number(part))
    };
    let is_time = |text: &str| {
        let parts = text.split_once('T');
        parts.is_some_and(|(day, time)| day.len() >= 8 && is_number(day) && is_fraction(time))
    };
    let is_server = |text: &str| {
        let parts = text.split_once('_');
        parts.is_some_and(|(ip, port)| is(ip, of_address) && is_number(port))
    };
    let parts = name.strip_suffix(".pcapng").map(|name| name.split('-'));
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let [time, server, latency, first, flow, task] = parts.as_slice() else {
        return false;
    };
    is_time(time)
        && is_server(server)
        && latency.strip_suffix("ms").is_some_and(is_fraction)
        && is_hex(first)
        && is_hex(flow)
        && is_number(task)
}

/// `124.500`.
fn milliseconds(span: Span) -> String {
    let us = span.ns() / 1000;
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// What it was, how long it took and why, whose.
fn comment(request: &Request<'_>, latency: Span) -> String {
    let ms = milliseconds;
    let mut lines = vec![format!(
        "{} {}: {} ms, {}",
        request.protocol.word().unwrap_or_default(),
        request.operation.unwrap_or("request"),
        ms(latency),
        request.status.word().unwrap_or_default()
    )];
    lines.extend(request.summary.map(str::to_owned));
    if let (Some(budget), Some(verdict)) = (budget(request), request.verdict) {
        let parts: Vec<_> = Verdict::ALL
            .iter()
            .zip(budget)
            .filter(|(_, part)| part.ns() > 0)
            .map(|(verdict, part)| format!("{} {}", verdict.word().unwrap_or_default(), ms(part)))
            .collect();
        lines.push(format!(
            "verdict {}: {} ms",
            verdict.word().unwrap_or_default(),
            parts.join(", ")
        ));
    }
    let id = request.connection_id.text();
    lines.push(format!(
        "{} => {}, connection {}, task {}",
        Endpoint(request.client_ip, request.client_port),
        Endpoint(request.server_ip, request.server_port),
        String::from_utf8_lossy(&id),
        request.task
    ));
    lines.join("\n")
}

/// The ends of a connection, whatever VLAN or tunnel it is seen in.
type Ends = ([u64; 2], [u64; 2], [u16; 2]);

fn ends(flow: &FlowKey) -> Ends {
    (flow.low, flow.high, flow.ports)
}

/// A packet where it is.
#[derive(Clone, Copy)]
struct Seen<'b> {
    frame: u64,
    packet: &'b Packet,
    data: &'b [u8],
}

/// A packet that is kept for a file that may begin later.
#[derive(Clone)]
struct Kept {
    frame: u64,
    packet: Packet,
    data: Vec<u8>,
}

impl Kept {
    fn of(seen: Seen<'_>) -> Kept {
        Kept {
            frame: seen.frame,
            packet: *seen.packet,
            data: seen.data.to_vec(),
        }
    }
}

/// The second pass.
struct Pass {
    directory: PathBuf,
    flows: BTreeMap<Ends, Tracked>,
    /// Requests whose file is not complete.
    left: usize,
    saved: u64,
    cut: u64,
}

/// A connection with slow requests.
#[derive(Default)]
struct Tracked {
    /// Those to come, in the order of their first packets.
    requests: VecDeque<Slow>,
    /// Initial sequence number of the handshake that is kept.
    opened: Option<u32>,
    /// The latest packet was part of it.
    is_opening: bool,
    handshake: Vec<Kept>,
    recent: VecDeque<Kept>,
    open: Vec<Saving>,
}

/// A request that is being saved.
struct Saving {
    writer: CaptureWriter,
    end: Timestamp,
    packets: u64,
    /// Packets after its end.
    after: usize,
}

impl Pass {
    fn new(directory: PathBuf, slowest: impl Iterator<Item = Slow>) -> Pass {
        let mut flows = BTreeMap::<Ends, Tracked>::new();
        let mut left = 0;
        for slow in slowest {
            left += 1;
            let tracked = flows.entry(ends(&slow.flow)).or_default();
            tracked.requests.push_back(slow);
        }
        for tracked in flows.values_mut() {
            tracked
                .requests
                .make_contiguous()
                .sort_by_key(|slow| slow.frame);
        }
        Pass {
            directory,
            flows,
            left,
            saved: 0,
            cut: 0,
        }
    }

    fn goes_on(&self) -> bool {
        self.left > 0
    }

    fn packet(
        &mut self,
        segment: &Segment,
        seen: Seen<'_>,
        interfaces: &[Interface],
    ) -> Result<()> {
        let Some(tracked) = self.flows.get_mut(&ends(&segment.flow)) else {
            return Ok(());
        };
        let mut index = 0;
        while let Some(saving) = tracked.open.get_mut(index) {
            if saving.takes(seen, interfaces)? {
                index += 1;
                continue;
            }
            let saving = tracked.open.swap_remove(index);
            self.cut += u64::from(saving.packets >= PACKETS);
            saving.writer.finish()?;
            self.left -= 1;
        }
        while let Some(slow) = tracked
            .requests
            .pop_front_if(|slow| slow.frame <= seen.frame)
        {
            let path = self.directory.join(&slow.name);
            let mut writer = CaptureWriter::create(&path)?;
            let earlier = tracked.handshake.iter().filter(|kept| {
                let recent = tracked.recent.front();
                recent.is_none_or(|first| kept.frame < first.frame)
            });
            let mut packets = 1;
            for kept in earlier.chain(&tracked.recent) {
                writer.write(&kept.packet, &kept.data, interfaces)?;
                packets += 1;
            }
            writer.write_commented(seen.packet, seen.data, interfaces, &slow.comment)?;
            self.saved += 1;
            tracked.open.push(Saving {
                writer,
                end: slow.end,
                packets,
                after: 0,
            });
        }
        tracked.keep(segment, seen);
        Ok(())
    }

    fn finish(self, left_out: u64) -> Result<String> {
        for saving in self.flows.into_values().flat_map(|tracked| tracked.open) {
            saving.writer.finish()?;
        }
        let mut text = format!(
            "saved the packets of {} slow request{} in {}",
            self.saved,
            if self.saved == 1 { "" } else { "s" },
            self.directory.display()
        );
        if left_out > 0 {
            text.push_str(&format!(
                "; {left_out} more were not as slow as these; raise -t, or name a server"
            ));
        }
        if self.cut > 0 {
            text.push_str(&format!("; {} cut at {PACKETS} packets", self.cut));
        }
        Ok(text)
    }
}

impl Saving {
    /// Writes a packet, if the file is not complete.
    fn takes(&mut self, seen: Seen<'_>, interfaces: &[Interface]) -> Result<bool> {
        self.after += usize::from(seen.packet.time > self.end);
        if self.after > NEIGHBOURS || self.packets >= PACKETS {
            return Ok(false);
        }
        self.writer.write(seen.packet, seen.data, interfaces)?;
        self.packets += 1;
        Ok(true)
    }
}

impl Tracked {
    /// Keeps what a later request's file begins with.
    fn keep(&mut self, segment: &Segment, seen: Seen<'_>) {
        let is_syn = segment.flags & flags::SYN != 0;
        let is_opening = is_syn && segment.flags & flags::ACK == 0;
        if is_opening && self.opened != Some(segment.seq) {
            // A new connection with the same ends.
            self.opened = Some(segment.seq);
            self.handshake.clear();
            self.recent.clear();
        }
        // Its first segment without SYN is the last of the handshake.
        if (is_syn || self.is_opening) && self.handshake.len() < HANDSHAKE {
            self.handshake.push(Kept::of(seen));
        }
        self.is_opening = is_syn;
        if self.recent.len() >= NEIGHBOURS {
            self.recent.pop_front();
        }
        self.recent.push_back(Kept::of(seen));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_files_are_known_by_their_names() {
        for name in [
            "20261121T010822.050000-10.0.0.2_80-50.000ms-18e9ea14e836bc00-0123abcd-2.pcapng",
            "20261121T010822.050000123-2001.db8..1_6379-1250.000ms-18e9ea14e836bc00-0123abcd-17.pcapng",
            "20261121T010822.050000-.._53-0.001ms-18e9ea14e836bc00-0123abcd-1.pcapng",
        ] {
            assert!(is_own(name), "{name}");
        }
        for name in [
            "shop.pcapng",
            ".pcapng",
            "-----.pcapng",
            "20261121T010822.050000-10.0.0.2_80-50.000ms-18e9ea14e836bc00-0123abcd-2.pcap",
            "20261121T010822.050000-web_80-50.000ms-18e9ea14e836bc00-0123abcd-2.pcapng",
            "20261121T010822.050000-10.0.0.2_80-50.000-18e9ea14e836bc00-0123abcd-2.pcapng",
            "20261121-10.0.0.2_80-50.000ms-18e9ea14e836bc00-0123abcd-2.pcapng",
            "my-20261121T010822.050000-10.0.0.2_80-50.000ms-18e9ea14e836bc00-0123abcd-2.pcapng",
        ] {
            assert!(!is_own(name), "{name}");
        }
    }
}
