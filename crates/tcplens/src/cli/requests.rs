//! The options of `requests`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use regex_lite::Regex;
use tcplens_core::record::{Protocol, Request, Status, Word};
use tcplens_core::time::Span;
use tcplens_output::tcpkit::TcpkitShape;
use tcplens_output::text::RequestColumn;

use super::{Common, Naming, values};

/// `requests`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Requests {
    /// Which requests.
    #[command(flatten)]
    pub which: Which,
    /// What all commands have.
    #[command(flatten)]
    pub common: Common,
    /// What addresses are called.
    #[command(flatten)]
    pub naming: Naming,
    /// Output format: text, jsonl, csv, parquet (with -o), tcprt (TCP-RT's V6 and V7 lines), tcprt-stats (its statistics by port) or none
    #[arg(
        short,
        long,
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: RequestFormat,
    /// With -f tcprt or tcprt-stats: statistics of each port every so often [default of tcprt-stats: 60]
    #[arg(long, value_name = "TIME", value_parser = values::seconds)]
    #[arg(help_heading = "Output", display_order = 0)]
    pub stats_interval: Option<Span>,
    /// With -f tcprt: as TCP-RT's module itself writes, FINs among the bytes of E and N lines and no N line after a clean close
    #[arg(long, help_heading = "Output", display_order = 0)]
    pub compat: bool,
    /// More columns in text: status, protocol, bytes, phases, budget, verdict, task, retransmits, connection, frames, process
    #[arg(long, value_name = "COLUMN,...", value_delimiter = ',')]
    #[arg(help_heading = "Output", display_order = 0)]
    pub columns: Vec<RequestColumn>,
    /// Cut what was asked for at N bytes
    #[arg(long, value_name = "N", default_value = "128", value_parser = values::at_least_one)]
    #[arg(help_heading = "Output", display_order = 0)]
    pub summary_bytes: u64,
    /// At the end, how long requests took: tcpkit's buckets, by server and by operation
    #[arg(long, help_heading = "Output", display_order = 0)]
    pub histogram: bool,
    /// Instead of lines tcpkit's statistics as JSON: tcpkit0 (an array), tcpkit1 (as 1.0) or tcpkit (as 1.1)
    #[arg(long, value_name = "SHAPE", help_heading = "Output", display_order = 0)]
    pub stats_format: Option<TcpkitShape>,
    /// Save the packets of each slow request here, a pcapng file each
    #[arg(long, value_name = "DIR", requires = "slower_than")]
    #[arg(help_heading = "Output", display_order = 0)]
    pub save_slow: Option<PathBuf>,
    /// With -m raw: every payload byte, the unprintable ones escaped
    #[arg(
        short = 'A',
        long = "payload",
        help_heading = "Output",
        display_order = 0
    )]
    pub payload: bool,
}

/// Which requests count.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which requests")]
pub(crate) struct Which {
    /// Protocols to recognise, all of them by default (with -k none: payload is copied if this is written); turn: client bytes, then server bytes; raw: a line per packet
    #[arg(
        short = 'm',
        long = "protocol",
        value_name = "PROTOCOL,...",
        default_value = "auto"
    )]
    #[arg(value_delimiter = ',', ignore_case = true, value_parser = protocols())]
    pub protocols: Vec<ProtocolChoice>,
    /// They were written.
    #[arg(skip)]
    pub names_protocols: bool,
    /// Print only what took at least so many milliseconds (0.5; or 2s), until the last byte of the response
    #[arg(short = 't', long, value_name = "MS", value_parser = values::milliseconds)]
    pub slower_than: Option<Span>,
    /// Only these operations: GET,SET
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub operation: Vec<String>,
    /// Only these: ok, error, none (no reply is owed), unanswered; codes: 404, 5xx; or words: NXDOMAIN, WRONGTYPE, 42S02
    #[arg(long, value_name = "STATUS,...", value_delimiter = ',', value_parser = StatusChoice::parse)]
    pub status: Vec<StatusChoice>,
    /// Only requests whose payload is of this size: 100, 1KiB- (at least), -64KiB (at most) or 1KiB-64KiB
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, value_parser = values::sizes)]
    pub request_bytes: Option<(u64, u64)>,
    /// Only requests whose response is of this size
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true, value_parser = values::sizes)]
    pub response_bytes: Option<(u64, u64)>,
    /// Only requests whose text (the last column) or status, such as 404 Not Found, matches this regular expression
    #[arg(long, value_name = "PATTERN", value_parser = values::pattern)]
    pub grep: Option<Regex>,
}

/// What `-m` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolChoice {
    /// Whatever is recognised.
    Auto,
    /// This one.
    One(Protocol),
    /// Packets.
    Raw,
}

impl ProtocolChoice {
    /// The one of a name, in upper or lower case.
    pub(crate) fn named(name: &str) -> Option<ProtocolChoice> {
        let mut protocols = Protocol::ALL.iter().copied();
        match name.to_ascii_lowercase().as_str() {
            "auto" => Some(ProtocolChoice::Auto),
            "raw" => Some(ProtocolChoice::Raw),
            name => protocols
                .find(|protocol| protocol.word() == Some(name))
                .map(ProtocolChoice::One),
        }
    }

    /// The protocols to recognise; none for all.
    pub(crate) fn protocols(choices: &[ProtocolChoice]) -> Vec<Protocol> {
        let mut named = Vec::new();
        for choice in choices {
            match choice {
                ProtocolChoice::Auto | ProtocolChoice::Raw => return Vec::new(),
                ProtocolChoice::One(protocol) => named.push(*protocol),
            }
        }
        named
    }

    /// Whether something is to be made of payload.
    pub(crate) fn looks_at_payload(choices: &[ProtocolChoice]) -> bool {
        let turn = ProtocolChoice::One(Protocol::Turn);
        choices.iter().any(|choice| *choice != turn)
    }

    /// All names but `raw`, which is no protocol of requests.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        let words = Protocol::ALL.iter().filter_map(|protocol| protocol.word());
        std::iter::once("auto").chain(words)
    }
}

fn protocols() -> impl TypedValueParser<Value = ProtocolChoice> {
    protocols_among(ProtocolChoice::names().chain(["raw"]))
}

/// The same where packets are not printed.
pub(super) fn protocols_of_records() -> impl TypedValueParser<Value = ProtocolChoice> {
    protocols_among(ProtocolChoice::names())
}

fn protocols_among(
    names: impl Iterator<Item = &'static str>,
) -> impl TypedValueParser<Value = ProtocolChoice> {
    let names: Vec<_> = names.collect();
    PossibleValuesParser::new(names).try_map(|name| {
        ProtocolChoice::named(&name).ok_or_else(|| format!("{name:?} is no protocol"))
    })
}

/// `--format` of `requests`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFormat {
    /// Lines for people.
    Text,
    /// JSON Lines.
    Jsonl,
    /// CSV.
    Csv,
    /// A Parquet file.
    Parquet,
    /// TCP-RT's lines.
    Tcprt,
    /// TCP-RT's statistics by port.
    TcprtStats,
    /// Nothing.
    None,
}

/// `--status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StatusChoice {
    /// How it went.
    Status(Status),
    /// The protocol's code, or the first word of its text, in capitals; where it begins with a digit, an `X` is any digit or letter.
    Code(String),
}

impl StatusChoice {
    /// Understands one word of `--status`.
    pub(crate) fn parse(text: &str) -> Result<StatusChoice, String> {
        let mut statuses = Status::ALL.iter().copied();
        let is_text = |word: &str| word.eq_ignore_ascii_case(text);
        if let Some(status) = statuses.find(|status| status.word().is_some_and(is_text)) {
            return Ok(StatusChoice::Status(status));
        }
        let word = text.trim_start_matches('-');
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if word.is_empty() || !word.chars().all(is_word) {
            return Err(format!(
                "{text:?} is no status; write ok, error, none or unanswered, a code such as 404 or 5xx, or the first word \
                 of what is answered, such as NXDOMAIN; several words: --grep"
            ));
        }
        Ok(StatusChoice::Code(word.to_ascii_uppercase()))
    }

    /// The word, if it is one that may be misspelt: nobody makes a list of what servers say.
    pub(crate) fn guess(&self) -> Option<&str> {
        match self {
            StatusChoice::Code(code) if !code.contains(|c: char| c.is_ascii_digit()) => Some(code),
            StatusChoice::Code(_) | StatusChoice::Status(_) => None,
        }
    }

    /// Whether only the response's own words tell.
    pub(super) fn is_what_was_answered(&self) -> bool {
        matches!(
            self,
            StatusChoice::Code(_) | StatusChoice::Status(Status::Error)
        )
    }

    /// Whether a request went so.
    pub(crate) fn fits(&self, request: &Request<'_>) -> bool {
        let code = match self {
            StatusChoice::Status(status) => return request.status == *status,
            StatusChoice::Code(code) => code,
        };
        let text = request.status_text.unwrap_or_default();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = text.trim_start_matches(|c| !is_word(c));
        let word = words.split(|c| !is_word(c)).next().unwrap_or_default();
        let number = request.status_code.map(|code| code.to_string());
        is_like(code, word) || number.is_some_and(|number| is_like(code, &number))
    }
}

/// Whether a word is the code that was written in capitals; if that begins with a digit, its `X` is any digit or letter (SQLSTATEs have both).
fn is_like(code: &str, word: &str) -> bool {
    let has_digit = code.starts_with(|c: char| c.is_ascii_digit());
    code.len() == word.len()
        && code
            .bytes()
            .zip(word.bytes())
            .all(|(code, byte)| match code {
                b'X' if has_digit => byte.is_ascii_alphanumeric(),
                _ => code == byte.to_ascii_uppercase(),
            })
}

// At most 72 columns: a manual page of 80 shows these lines as they are.

const HELP: &str = "\
A line has the time of the request, who asked whom, the milliseconds
from the first byte of the request to the last of the response, and what
was asked for. Requests of one server: a filter expression. Without a
full response -t compares the time until its first byte. --operation,
--status, the sizes and --grep also choose what the summary counts.

Examples:
  tcplens requests shop.pcap                  every request, and a summary
  tcplens requests shop.pcap -t 100 --columns status,budget
                             what took 100 ms or more, and where it went
  tcplens requests shop.pcap -q --histogram host 10.0.0.2 and port 6379
                             how long one server takes
  tcplens requests shop.pcap -t 500 --save-slow slow
                             the packets of each, for Wireshark
  tcplens requests shop.pcap -m raw -A port 6379
                             packets with their payload";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_without_case() {
        for (text, status) in [
            ("ok", Status::Ok),
            ("OK", Status::Ok),
            ("Error", Status::Error),
            ("NONE", Status::None),
            ("Unanswered", Status::Unanswered),
        ] {
            let choice = StatusChoice::parse(text).unwrap();
            assert_eq!(choice, StatusChoice::Status(status));
            assert_eq!(choice.guess(), None);
        }
        let guess = |text| {
            StatusChoice::parse(text)
                .unwrap()
                .guess()
                .map(str::to_owned)
        };
        assert_eq!(guess("-eror").as_deref(), Some("EROR"));
        assert_eq!(guess("5xx"), None);
        assert_eq!(guess("42S02"), None);
    }

    #[test]
    fn an_x_is_any_digit_or_letter_of_a_code() {
        for (code, word, expected) in [
            ("5XX", "503", true),
            ("5XX", "404", false),
            ("42SXX", "42S02", true),
            ("42XXX", "42S02", true),
            ("42XXX", "28000", false),
            ("5XX", "50", false),
            ("XX000", "XX000", true),
            ("XX000", "42000", false),
            ("NXDOMAIN", "nxdomain", true),
        ] {
            assert_eq!(is_like(code, word), expected, "{code} {word}");
        }
    }
}
