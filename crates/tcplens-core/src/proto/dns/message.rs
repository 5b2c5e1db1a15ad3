//! The format of a message (RFC 1035 4): header, question, names with compression, a walk over records.

use std::net::IpAddr;

use super::super::{Guess, Line};

/// Octets of the header.
pub(super) const HEADER: usize = 12;
/// Longest name on the wire, without the root's octet (RFC 1035 3.1).
const LONGEST_NAME: usize = 254;
/// Least octets of a question: root, type, class.
const SHORTEST_QUESTION: usize = 5;
/// Least octets of a record: root, type, class, TTL, length.
const SHORTEST_RECORD: usize = 11;
/// Additional records of a query: OPT and a signature. Chosen: one more than known.
const QUERY_ADDITIONALS: u16 = 3;

/// Types that are treated in their own way.
pub(super) mod kind {
    pub(in super::super) const A: u16 = 1;
    pub(in super::super) const SOA: u16 = 6;
    pub(in super::super) const AAAA: u16 = 28;
    pub(in super::super) const OPT: u16 = 41;
    pub(in super::super) const IXFR: u16 = 251;
    pub(in super::super) const AXFR: u16 = 252;
}

/// Classes that are treated in their own way.
pub(super) mod class {
    pub(in super::super) const IN: u16 = 1;
    pub(in super::super) const CH: u16 = 3;
    pub(in super::super) const HS: u16 = 4;
    pub(in super::super) const NONE: u16 = 254;
    pub(in super::super) const ANY: u16 = 255;
}

/// Operation codes.
pub(super) mod opcode {
    pub(in super::super) const QUERY: u8 = 0;
    pub(in super::super) const STATUS: u8 = 2;
    pub(in super::super) const NOTIFY: u8 = 4;
    pub(in super::super) const UPDATE: u8 = 5;
}

// | id | QR opcode AA TC RD | RA Z AD CD rcode | questions | answers | authorities | additionals |
mod flag {
    pub(super) const RESPONSE: u16 = 0x8000;
    pub(super) const AUTHORITATIVE: u16 = 0x0400;
    pub(super) const TRUNCATED: u16 = 0x0200;
    pub(super) const RECURSION_AVAILABLE: u16 = 0x0080;
    pub(super) const ZERO: u16 = 0x0040;
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) id: u16,
    flags: u16,
    questions: u16,
    /// Answers, authorities, additionals.
    records: [u16; 3],
}

impl Header {
    pub(super) fn read(message: &[u8]) -> Option<Header> {
        let word = |at: usize| be16(message, at);
        Some(Header {
            id: word(0)?,
            flags: word(2)?,
            questions: word(4)?,
            records: [word(6)?, word(8)?, word(10)?],
        })
    }

    pub(super) fn is_response(self) -> bool {
        self.flags & flag::RESPONSE != 0
    }

    pub(super) fn is_truncated(self) -> bool {
        self.flags & flag::TRUNCATED != 0
    }

    pub(super) fn opcode(self) -> u8 {
        (self.flags >> 11 & 15) as u8
    }

    /// The four bits of the header.
    pub(super) fn rcode(self) -> u16 {
        self.flags & 15
    }

    pub(super) fn answers(self) -> u16 {
        self.records[0]
    }

    /// With the eight bits of OPT above them, where there is one (RFC 6891 6.1.3).
    pub(super) fn extended_rcode(self, message: &[u8]) -> u16 {
        let mut records = Records::new(self, message);
        let opt = records.find(|record| record.section == 2 && record.kind == kind::OPT);
        let high = opt.map_or(0, |opt| (opt.ttl >> 24) as u16);
        high << 4 | self.rcode()
    }

    /// The first question.
    pub(super) fn question(self, message: &[u8]) -> Option<Question<'_>> {
        if self.questions == 0 {
            return None;
        }
        let (question, _) = Question::read(message, HEADER)?;
        Some(question)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    message: &'a [u8],
    name_at: usize,
    pub(super) kind: u16,
    pub(super) class: u16,
}

impl<'a> Question<'a> {
    /// The question at an offset, and where it ends.
    fn read(message: &'a [u8], name_at: usize) -> Option<(Question<'a>, usize)> {
        let end = each_label(message, name_at, |_| ())?;
        let question = Question {
            message,
            name_at,
            kind: be16(message, end)?,
            class: be16(message, end + 2)?,
        };
        Some((question, end + 4))
    }

    /// FNV-1a of the name (in lower case: a server may change it). Type and class are left out: who asks the same name of
    /// the same server twice uses two ids, and what tells a damaged answer's question is its name.
    pub(super) fn hash(&self) -> u32 {
        let mut hash = 0x811c_9dc5_u32;
        let mut add = |byte: u8| hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        each_label(self.message, self.name_at, |label| {
            add(label.len() as u8);
            label.iter().for_each(|byte| add(byte.to_ascii_lowercase()));
        });
        // The low bits alone are used.
        hash ^ hash >> 14 ^ hash >> 28
    }

    /// The name as in a zone file: `a\.b.example.test.`; octets that cannot be shown, and blanks, as `\032` (RFC 4343 2.1).
    pub(super) fn write_name(&self, line: &mut Line<'_>) {
        let mut is_root = true;
        each_label(self.message, self.name_at, |label| {
            is_root = false;
            write_label(label, line);
            line.piece(".");
        });
        if is_root {
            line.piece(".");
        }
    }
}

fn write_label(mut label: &[u8], line: &mut Line<'_>) {
    while let Some(first) = label.first() {
        let plain = label.iter().take_while(|byte| is_plain(**byte)).count();
        let (now, rest) = if plain > 0 {
            let (now, rest) = label.split_at(plain);
            line.bytes(now);
            (now, rest)
        } else {
            match first {
                b'.' => line.piece("\\."),
                b'\\' => line.piece("\\\\"),
                byte => {
                    let digit = |n: u8| b'0' + n % 10;
                    let text = [b'\\', digit(byte / 100), digit(byte / 10), digit(*byte)];
                    line.piece(str::from_utf8(&text).unwrap_or_default());
                }
            }
            label.split_at(1)
        };
        debug_assert!(!now.is_empty());
        label = rest;
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'.' | b'\\')
}

/// A record, less its name.
pub(super) struct Record {
    /// 0 answer, 1 authority, 2 additional.
    pub(super) section: usize,
    pub(super) kind: u16,
    class: u16,
    ttl: u32,
    data_at: usize,
    data_length: usize,
}

impl Record {
    /// The address, if it is one (RFC 1035 3.4.1, RFC 3596 2.2).
    pub(super) fn address(&self, message: &[u8]) -> Option<IpAddr> {
        if self.class != class::IN {
            return None;
        }
        let data = message.get(self.data_at..self.data_at + self.data_length)?;
        match self.kind {
            kind::A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
            kind::AAAA => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
            _ => None,
        }
    }

    /// The serial, if it is a SOA.
    pub(super) fn soa_serial(&self, message: &[u8]) -> Option<u32> {
        if self.kind != kind::SOA {
            return None;
        }
        let after_primary = each_label(message, self.data_at, |_| ())?;
        let after_mailbox = each_label(message, after_primary, |_| ())?;
        be32(message, after_mailbox)
    }
}

/// A walk over all records; it ends early where they are broken or cut.
pub(super) struct Records<'a> {
    message: &'a [u8],
    at: Option<usize>,
    section: usize,
    left: [u16; 3],
}

impl<'a> Records<'a> {
    pub(super) fn new(header: Header, message: &'a [u8]) -> Records<'a> {
        let mut at = Some(HEADER);
        for _ in 0..header.questions {
            at = at.and_then(|at| Some(Question::read(message, at)?.1));
            if at.is_none() {
                break;
            }
        }
        Records {
            message,
            at,
            section: 0,
            left: header.records,
        }
    }

    /// Whether the walk ended before the last record that the header counts.
    pub(super) fn is_broken(&self) -> bool {
        self.at.is_none()
    }

    fn read(&mut self) -> Option<Record> {
        let name_end = each_label(self.message, self.at?, |_| ())?;
        let data_at = name_end + 10;
        let data_length = usize::from(be16(self.message, name_end + 8)?);
        let end = data_at + data_length;
        self.message.get(data_at..end)?;
        self.at = Some(end);
        Some(Record {
            section: self.section,
            kind: be16(self.message, name_end)?,
            class: be16(self.message, name_end + 2)?,
            ttl: be32(self.message, name_end + 4)?,
            data_at,
            data_length,
        })
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            let left = self.left.get_mut(self.section)?;
            if *left > 0 {
                *left -= 1;
                break;
            }
            self.section += 1;
        }
        let record = self.read();
        if record.is_none() {
            self.at = None;
            self.left = [0; 3];
        }
        record
    }
}

/// Shows each label of the name at an offset; says where the name ends, `None` if it is none. Compression pointers must
/// go back, each before where the last went: so it ends.
fn each_label(message: &[u8], name_at: usize, mut show: impl FnMut(&[u8])) -> Option<usize> {
    let mut at = name_at;
    let mut lowest = name_at;
    let mut end = None;
    let mut room = LONGEST_NAME;
    loop {
        let length = usize::from(*message.get(at)?);
        match length >> 6 {
            0 if length == 0 => return Some(end.unwrap_or(at + 1)),
            0 => {
                let label = message.get(at + 1..at + 1 + length)?;
                room = room.checked_sub(1 + length)?;
                show(label);
                at += 1 + length;
            }
            3 => {
                let to = usize::from(be16(message, at)? & 0x3fff);
                if to >= lowest {
                    return None;
                }
                end.get_or_insert(at + 2);
                lowest = to;
                at = to;
            }
            _ => return None,
        }
    }
}

/// Whether these are the first bytes of a message of `length`, or the whole of a datagram (which may have been cut).
pub(super) fn judge(message: &[u8], length: Option<usize>) -> Guess {
    let is_stream = length.is_some();
    let length = length.unwrap_or(message.len());
    if length < HEADER + SHORTEST_QUESTION {
        return Guess::No;
    }
    let Some(header) = Header::read(message) else {
        return Guess::Maybe;
    };
    if !is_plausible(header, length) {
        return Guess::No;
    }
    let is_complete = message.len() >= length;
    if header.questions == 1 {
        match read_plain_question(message) {
            Err(guess) if guess == Guess::Maybe && is_complete => return Guess::No,
            Err(guess) => return guess,
            Ok(question) if is_unlikely(question) => return Guess::No,
            Ok(_) => {}
        }
    }
    let mut records = Records::new(header, message);
    let mut seen = 0;
    for record in records.by_ref() {
        if record.kind != kind::OPT && !is_class(record.class) {
            return Guess::No;
        }
        seen += 1;
    }
    match records.at {
        Some(at) if at == length => Guess::Yes,
        // Windows servers mark their transfer queries so: more than one record in a message is welcome.
        Some(at) if message.get(at..) == Some(b"MS") => Guess::Yes,
        Some(_) => Guess::No,
        // The question alone is long enough a proof while the rest is on its way, or was not captured.
        None if header.questions == 1 && (!is_complete || !is_stream && seen > 0) => Guess::Yes,
        None if !is_complete && seen == 0 => Guess::Maybe,
        None if !is_complete => Guess::Yes,
        None => Guess::No,
    }
}

/// Whether flags and counts are those that real clients and servers send.
fn is_plausible(header: Header, length: usize) -> bool {
    let [answers, authorities, additionals] = header.records;
    let records = usize::from(answers) + usize::from(authorities) + usize::from(additionals);
    let questions = usize::from(header.questions);
    if header.flags & flag::ZERO != 0
        || HEADER + questions * SHORTEST_QUESTION + records * SHORTEST_RECORD > length
    {
        return false;
    }
    if header.is_response() {
        return match header.opcode() {
            // Without question: further messages of a transfer.
            opcode::QUERY => questions == 1 || questions == 0 && answers > 0 && header.rcode() == 0,
            opcode::STATUS | opcode::NOTIFY | opcode::UPDATE => questions == 1,
            _ => false,
        };
    }
    let bad = flag::TRUNCATED | flag::RECURSION_AVAILABLE;
    if questions != 1 || header.flags & bad != 0 || header.rcode() != 0 {
        return false;
    }
    let is_authoritative = header.flags & flag::AUTHORITATIVE != 0;
    match header.opcode() {
        // The authority of an IXFR query holds the client's SOA.
        opcode::QUERY | opcode::STATUS => {
            !is_authoritative
                && answers == 0
                && authorities <= 1
                && additionals <= QUERY_ADDITIONALS
        }
        opcode::NOTIFY => answers <= 1 && authorities == 0 && additionals <= QUERY_ADDITIONALS,
        opcode::UPDATE => !is_authoritative,
        _ => false,
    }
}

/// The first question, whose name can have no pointer: nothing is before it. `Err`: what to think of one that is not there.
fn read_plain_question(message: &[u8]) -> Result<Question<'_>, Guess> {
    let mut at = HEADER;
    while let Some(length) = message.get(at) {
        match length {
            0 => {
                return Question::read(message, HEADER)
                    .map(|(it, _)| it)
                    .ok_or(Guess::Maybe);
            }
            1..=63 if at - HEADER <= LONGEST_NAME => at += 1 + usize::from(*length),
            _ => return Err(Guess::No),
        }
    }
    Err(Guess::Maybe)
}

/// No type, no known class, or a NetBIOS name (RFC 1002 4.2: 32 letters from A to P, types NB and NBSTAT).
fn is_unlikely(question: Question<'_>) -> bool {
    let is_netbios = matches!(question.kind, 32 | 33)
        && question.message.get(HEADER) == Some(&32)
        && question
            .message
            .get(HEADER + 1..HEADER + 33)
            .is_some_and(|label| label.iter().all(|byte| (b'A'..=b'P').contains(byte)));
    question.kind == 0 || !is_class(question.class) || is_netbios
}

fn is_class(class: u16) -> bool {
    matches!(
        class,
        class::IN | class::CH | class::HS | class::NONE | class::ANY
    )
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    let found = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*found))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let found = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*found))
}
