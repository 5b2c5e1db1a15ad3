//! The options of `top`.

use clap::{Args, ValueEnum};
use tcplens_core::filter::record::RecordFilter;
use tcplens_core::record::{GroupBy, Peer, Record};
use tcplens_core::time::Span;
use tcplens_core::view::top::{Marks, Over, PARTS};

use super::requests::{self, ProtocolChoice};
use super::{Common, Format, Naming, values};

/// `top`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub(crate) struct Top {
    /// What all commands have.
    #[command(flatten)]
    pub common: Common,
    /// What addresses are called.
    #[command(flatten)]
    pub naming: Naming,
    /// A row for each peer, server, client, port, process or container
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "peer",
        hide_possible_values = true,
        help_heading = "Rows"
    )]
    pub by: ByChoice,
    /// What the numbers are of: window, or start for all since the beginning [default: window; of a whole file start]
    #[arg(
        long,
        value_name = "window|start",
        hide_possible_values = true,
        help_heading = "Rows"
    )]
    pub over: Option<OverChoice>,
    /// How much time the window holds, in packet time [default: the interval; 10s]
    #[arg(long, value_name = "TIME", value_parser = values::seconds, help_heading = "Rows")]
    pub window: Option<Span>,
    /// Field of the records that orders the rows, the largest first; FIELD%: by its share; FIELD:asc: the smallest [default:
    /// attempts; on the screen request_p95]
    #[arg(long, value_name = "FIELD[%][:asc]", value_parser = order, help_heading = "Rows")]
    pub sort: Option<Order>,
    /// Rows to show at most, the rest is in the totals
    #[arg(long, value_name = "N", value_parser = values::at_least_one, help_heading = "Rows")]
    pub rows: Option<u64>,
    /// Rows to show, by their fields: 'failed > 0 or request_p95 > 100ms'
    #[arg(long = "where", value_name = "EXPRESSION", help_heading = "Rows")]
    pub passing: Option<String>,
    /// Values to mark, in place of what is usual: 'connect_p95>50ms', 'resets>5%'; none: no value; repeatable
    #[arg(long, value_name = "FIELD>VALUE", help_heading = "Rows")]
    pub mark: Vec<String>,
    /// Rows to keep of each kind; beyond, the quiet ones become `others`
    #[arg(long, value_name = "N", value_parser = values::at_least_one, default_value = "16384", help_heading = "Rows")]
    pub limit_rows: u64,
    /// One table, and end: of a file at its end, live after one window
    #[arg(long, conflicts_with = "batch", help_heading = "Tables")]
    pub once: bool,
    /// N tables, and end
    #[arg(long, value_name = "N", value_parser = values::at_least_one, help_heading = "Tables")]
    pub batch: Option<u64>,
    /// A table every so often, in packet time [default: the window]
    #[arg(long, value_name = "TIME", value_parser = values::interval, help_heading = "Tables")]
    pub interval: Option<Span>,
    /// Show a file at the pace at which it was captured, or SPEED times faster
    #[arg(long, value_name = "SPEED", num_args = 0..=1, require_equals = true, default_missing_value = "1", value_parser = speed)]
    #[arg(help_heading = "Tables")]
    pub replay: Option<f64>,
    /// Colours of the screen: dark, light or mono [default: dark; mono without colour]
    #[arg(
        long,
        value_name = "THEME",
        hide_possible_values = true,
        help_heading = "Screen"
    )]
    pub theme: Option<Theme>,
    /// Protocols to recognise, as of requests [default: auto; -k: none]
    #[arg(
        short = 'm',
        long = "protocol",
        value_name = "PROTOCOL,...",
        hide_possible_values = true
    )]
    #[arg(value_delimiter = ',', ignore_case = true, value_parser = requests::protocols_of_records())]
    #[arg(help_heading = "Output")]
    pub protocols: Vec<ProtocolChoice>,
    /// Output format: text, jsonl, csv, parquet (with -o) or none
    #[arg(
        short,
        long,
        default_value = "text",
        hide_possible_values = true,
        help_heading = "Output",
        display_order = 0
    )]
    pub format: Format,
}

impl Top {
    /// Which rows are shown.
    ///
    /// # Errors
    /// The expression's word that does not fit.
    pub(crate) fn filter(&self) -> anyhow::Result<Option<RecordFilter>> {
        let parse = |text: &String| RecordFilter::parse::<Peer>(text);
        Ok(self.passing.as_ref().map(parse).transpose()?)
    }

    /// Which values are marked.
    ///
    /// # Errors
    /// The threshold's word that does not fit.
    pub(crate) fn marks(&self) -> anyhow::Result<Marks> {
        let mut marks = Marks::default();
        for text in &self.mark {
            if text == "none" {
                marks = Marks::none();
            } else {
                marks.set(text)?;
            }
        }
        Ok(marks)
    }
}

/// `--by`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ByChoice {
    /// The address of the other end.
    Peer,
    /// The server's address and port.
    Server,
    /// The client's address.
    Client,
    /// The server's port.
    Port,
    /// The process on the observed host (-k).
    Process,
    /// Its container (-k).
    Container,
}

impl From<ByChoice> for GroupBy {
    fn from(choice: ByChoice) -> GroupBy {
        match choice {
            ByChoice::Peer => GroupBy::Peer,
            ByChoice::Server => GroupBy::Server,
            ByChoice::Client => GroupBy::Client,
            ByChoice::Port => GroupBy::Port,
            ByChoice::Process => GroupBy::Process,
            ByChoice::Container => GroupBy::Container,
        }
    }
}

/// `--over`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OverChoice {
    /// The sliding window.
    Window,
    /// Since the beginning.
    Start,
}

impl From<OverChoice> for Over {
    fn from(choice: OverChoice) -> Over {
        match choice {
            OverChoice::Window => Over::Window,
            OverChoice::Start => Over::Start,
        }
    }
}

/// `--theme`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// Light on dark.
    Dark,
    /// Dark on light.
    Light,
    /// Bold, dim and reversed only.
    Mono,
}

/// `--sort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The field.
    pub field: &'static str,
    /// Its share of what it is a part of, in place of the number.
    pub by_share: bool,
    /// The largest first.
    pub descending: bool,
}

/// `attempts`, `request_p95:asc`, `established%:asc`: units may be left out.
fn order(text: &str) -> Result<Order, String> {
    let (name, descending) = match text.split_once(':') {
        None => (text, true),
        Some((name, "desc")) => (name, true),
        Some((name, "asc")) => (name, false),
        Some((_, order)) => {
            return Err(format!(
                "{order:?} is no order; write FIELD, FIELD:asc or FIELD:desc"
            ));
        }
    };
    let (name, by_share) = match name.strip_suffix('%') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let (mut found, mut names) = (None, Vec::new());
    Peer::fields(&mut |field| {
        if field.name == name || field.name.strip_suffix("_us") == Some(name) {
            found = Some(field.name);
        }
        names.push(field.name);
    });
    match found {
        Some(field) if by_share && !PARTS.contains(&field) => Err(format!(
            "{field} is no part of anything; a share can be asked of {}",
            PARTS.join(", ")
        )),
        Some(field) => Ok(Order {
            field,
            by_share,
            descending,
        }),
        None => Err(format!(
            "there is no field {name:?}; there are {}",
            names.join(", ")
        )),
    }
}

/// `2`, `0.5`: how much faster than captured.
fn speed(text: &str) -> Result<f64, String> {
    match text.trim_end_matches(['x', 'X']).parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err(format!(
            "{text:?} is no speed; write how many times faster than captured, such as 10 or 0.5"
        )),
    }
}

// At most 72 columns: a manual page of 80 shows these lines as they are.
const HELP: &str = "\
On a terminal it is a screen (? tells its keys), unless --once, --batch,
--interval or -f ask for tables. The near end is the observed host's, the
far end is the row's: OUT is what the near end did. Columns, fields and what is marked: docs/top.md.

Examples:
  tcplens top shop.pcap                  a screen; in a pipe one table
  tcplens top shop.pcap --by server --sort request_p95
  tcplens top -i eth0 --once --window 60 one minute of live traffic
  tcplens top -i eth0 --interval 5 -f jsonl
                                         records, every five seconds
  tcplens top shop.pcap --where 'failed > 0' --rows 20
  tcplens top shop.pcap --replay=10      as if live, ten times faster";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_field_with_or_without_its_unit() {
        let of = |field, by_share, descending| {
            Ok(Order {
                field,
                by_share,
                descending,
            })
        };
        let order_of = |field, descending| of(field, false, descending);
        assert_eq!(order("errors%"), of("errors", true, true));
        assert_eq!(order("failed%:asc"), of("failed", true, false));
        assert!(
            order("bytes_in%")
                .unwrap_err()
                .contains("is no part of anything")
        );
        assert_eq!(order("attempts"), order_of("attempts", true));
        assert_eq!(order("request_p95:asc"), order_of("request_p95_us", false));
        assert_eq!(
            order("request_p95_us:desc"),
            order_of("request_p95_us", true)
        );
        assert!(
            order("attempts:up")
                .unwrap_err()
                .contains("\"up\" is no order")
        );
        assert!(order("latency").unwrap_err().contains("there is no field"));
    }

    #[test]
    fn a_speed_is_above_zero() {
        assert_eq!(
            (speed("1"), speed("0.5"), speed("10x")),
            (Ok(1.0), Ok(0.5), Ok(10.0))
        );
        for text in ["0", "-1", "inf", "fast", ""] {
            assert!(speed(text).is_err(), "{text}");
        }
    }
}
