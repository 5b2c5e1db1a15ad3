//! Sockets for people: a table of all, in order, and a line about all of them together. Watched, a terminal shows the newest
//! table in the place of the one before; elsewhere they follow each other.

use std::collections::HashMap;

use tcplens_core::socket::tracker::Polled as Counters;
use tcplens_core::socket::{Ended as Why, Message};
use tcplens_output::hosts::Hosts;
use tcplens_output::text::{SocketKey, SocketOrder, SocketText, SocketTotal};
use tcplens_output::time_style::TimeFormat;
use tcplens_output::values::Values;
use tcplens_output::{Fields, SinkEnd};

use super::{Consumer, Ended, Polled};
use crate::commands::lines::Target;

/// To the first line and column; lines that are too long end there (DECAWM).
const BEGIN: &[u8] = b"\x1b[?7l\x1b[H";
/// What is left of the old line goes.
const CLEAR_LINE: &[u8] = b"\x1b[K";
/// What is left below goes; lines wrap again.
const END: &[u8] = b"\x1b[J\x1b[?7h";
/// How wide lines are where nobody says.
const WIDTH: usize = 80;

/// Where a table is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// One table, once.
    Once,
    /// One after the other.
    Blocks,
    /// On a terminal, in one place.
    InPlace,
}

/// How.
pub(crate) struct TextOptions {
    /// In which order.
    pub order: SocketOrder,
    /// With second lines.
    pub is_extended: bool,
    /// Coloured.
    pub color: bool,
    /// Where.
    pub screen: Screen,
    /// Lines go to a terminal: they fit in it.
    pub is_terminal: bool,
    /// The table only.
    pub is_quiet: bool,
    /// Most sockets.
    pub most: Option<u64>,
    /// How times are shown.
    pub time: TimeFormat,
    /// How addresses are shown.
    pub hosts: Hosts,
    /// A column for each of these, in place of those that are usual.
    pub fields: Option<Fields>,
}

/// See the module.
pub(crate) struct TextView {
    target: Target,
    options: TextOptions,
    text: SocketText,
    values: Values,
    /// The counters of the table before, for rates.
    before: HashMap<u64, Counters>,
    /// Connections that ended since the table before.
    ended: u64,
    shown: u64,
}

/// One that is to be shown.
#[derive(Clone, Copy)]
enum Which {
    Tracked(u64),
    Other(usize),
}

impl TextView {
    /// To a destination of text.
    pub(crate) fn new(target: Target, options: TextOptions) -> TextView {
        TextView {
            target,
            text: match &options.fields {
                Some(fields) => {
                    SocketText::of_fields(fields.clone(), options.time.clone(), options.color)
                }
                None => SocketText::new(options.is_extended, options.color)
                    .with_hosts(options.hosts.clone()),
            },
            options,
            values: Values::default(),
            before: HashMap::new(),
            ended: 0,
            shown: 0,
        }
    }

    /// All that were asked for, in order.
    fn sorted(
        &mut self,
        polled: &mut Polled<'_>,
        total: &mut SocketTotal,
    ) -> Result<Vec<Which>, SinkEnd> {
        let TextView {
            options,
            values,
            before,
            ..
        } = self;
        let order = options.order;
        let mut all: Vec<(SocketKey, Which)> = Vec::new();
        for entry in polled.tracker.entries() {
            let (message, cookie) = (entry.message(), entry.cookie());
            let counters = before.get(&cookie).copied();
            polled
                .world
                .socket(entry.last_seen, message, counters, Some(entry), |record| {
                    total.add(record);
                    all.push((order.key(record, values), Which::Tracked(cookie)));
                    Ok(())
                })?;
        }
        for (n, (at, message)) in polled.others.iter().enumerate() {
            let Some(message) = Message::new(message) else {
                continue;
            };
            polled.world.socket(*at, message, None, None, |record| {
                total.add(record);
                all.push((order.key(record, values), Which::Other(n)));
                Ok(())
            })?;
        }
        all.sort_by(|(a, _), (b, _)| order.compare(a, b));
        Ok(all.into_iter().map(|(_, which)| which).collect())
    }

    /// Their lines.
    fn lines(
        &mut self,
        polled: &mut Polled<'_>,
        wanted: &[Which],
        width: Option<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), SinkEnd> {
        for which in wanted {
            let text = &mut self.text;
            let mut add = |record: &tcplens_core::record::Socket<'_>| {
                text.add(record);
                Ok(())
            };
            match *which {
                Which::Tracked(cookie) => {
                    let Some(entry) = polled.tracker.find(cookie) else {
                        continue;
                    };
                    let counters = self.before.get(&cookie).copied();
                    let at = entry.last_seen;
                    polled
                        .world
                        .socket(at, entry.message(), counters, Some(entry), &mut add)?;
                }
                Which::Other(n) => {
                    let other = polled.others.get(n);
                    let other = other.and_then(|(at, bytes)| Some((*at, Message::new(bytes)?)));
                    let Some((at, message)) = other else {
                        continue;
                    };
                    polled.world.socket(at, message, None, None, &mut add)?;
                }
            }
        }
        self.text.print(width, out);
        Ok(())
    }

    /// For the rates of the next table.
    fn remember(&mut self, polled: &Polled<'_>) {
        if self.options.screen == Screen::Once {
            return;
        }
        self.before.clear();
        let entries = polled.tracker.entries();
        self.before
            .extend(entries.map(|entry| (entry.cookie(), entry.polled())));
    }
}

impl Consumer for TextView {
    fn ended(&mut self, ended: &Ended<'_>) -> Result<(), SinkEnd> {
        self.ended += u64::from(ended.end.ended != Why::Open);
        Ok(())
    }

    fn polled(&mut self, polled: &mut Polled<'_>) -> Result<(), SinkEnd> {
        let mut total = SocketTotal::default();
        let size = terminal_size::terminal_size();
        let screen = self.options.screen;
        let (width, height) = match size {
            Some((width, height)) if self.options.is_terminal => {
                (Some(usize::from(width.0)), usize::from(height.0))
            }
            _ if self.options.is_terminal => (Some(WIDTH), 24),
            _ => (None, 24),
        };
        let mut wanted = self.sorted(polled, &mut total)?;
        let all = wanted.len();
        let most = self.options.most.map_or(usize::MAX, |most| {
            usize::try_from(most).unwrap_or(usize::MAX)
        });
        wanted.truncate(most);
        if screen == Screen::InPlace {
            // The total, a line for the cursor, and the header of the table.
            wanted.truncate(height.saturating_sub(3));
        }
        let left_out = (all - wanted.len()) as u64;
        self.shown += wanted.len() as u64;
        if screen != Screen::Once {
            total.pace = Some((polled.cost, polled.interval));
            total.ended = Some(std::mem::take(&mut self.ended));
        }
        let (mut lines, mut sums) = (Vec::new(), Vec::new());
        self.lines(polled, &wanted, width, &mut lines)?;
        total.print(left_out, width, &mut sums);
        self.remember(polled);
        let TextView {
            target, options, ..
        } = self;
        let Target::Text(text) = target else {
            return Ok(());
        };
        match screen {
            Screen::Once => text.write(Some(polled.at), |out| {
                out.append(&mut lines);
                if !options.is_quiet {
                    out.append(&mut sums);
                }
            }),
            Screen::Blocks => text.write(Some(polled.at), |out| {
                let mut time = String::new();
                options.time.write(&mut time, polled.at);
                out.extend_from_slice(time.as_bytes());
                out.extend_from_slice(b"  ");
                out.append(&mut sums);
                out.append(&mut lines);
                out.push(b'\n');
            }),
            Screen::InPlace => text.write(Some(polled.at), |out| {
                out.extend_from_slice(BEGIN);
                let whole = [sums, lines].concat();
                let rows = whole.split_inclusive(|byte| *byte == b'\n');
                for row in rows.take(height.saturating_sub(1)) {
                    out.extend_from_slice(row.strip_suffix(b"\n").unwrap_or(row));
                    out.extend_from_slice(CLEAR_LINE);
                    out.push(b'\n');
                }
                out.extend_from_slice(END);
            }),
        }?;
        self.target.idle()
    }

    fn idle(&mut self) -> Result<(), SinkEnd> {
        self.target.idle()
    }

    fn reopen(&mut self) -> Result<(), SinkEnd> {
        self.target.reopen()
    }

    fn shown(&self) -> u64 {
        self.shown
    }

    fn settle(&mut self) -> Result<(), SinkEnd> {
        self.target.settle()
    }

    fn dropped(&self) -> u64 {
        self.target.dropped()
    }

    fn finish(self: Box<Self>) -> Result<(), SinkEnd> {
        self.target.finish()
    }
}
