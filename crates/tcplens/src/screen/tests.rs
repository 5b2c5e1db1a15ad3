//! What the screen looks like and what keys do to it, without a terminal. Pictures are in screen/pictures, and `dev/bless`
//! rewrites them; tests/screen runs the whole program in tmux.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{Event, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;
use tcplens_core::record::{GroupBy, Peer};
use tcplens_core::view::top::{Marks, Over, RowKey};
use tcplens_output::hosts::Hosts;
use tcplens_output::time_style::TimeStyle;

use super::columns::{COLUMNS, Percentile};
use super::keys::{KEYS, MOUSE, pressed};
use super::link::{Facts, Told};
use super::look::{Clock, Symbols};
use super::paint::paint;
use super::sample::{answer, peers};
use super::state::{Begin, Effect, Place, State, Subject};
use super::terminal::changes;
use crate::cli::Theme;

/// A screen with somebody who answers at once.
struct Stage {
    state: State,
    all: Vec<(RowKey, Peer)>,
    facts: Facts,
}

impl Stage {
    fn new(count: u64, size: (u16, u16)) -> Stage {
        let begin = Begin {
            by: GroupBy::Server,
            over: Over::Window,
            sort: None,
            filter: None,
            theme: Theme::Dark,
            marks: Marks::default(),
            source: "shop.pcap".to_owned(),
            hosts: Hosts::default(),
        };
        let mut stage = Stage {
            state: State::new(begin, size),
            all: peers(count),
            facts: Facts {
                packets: Some(1_234_567),
                is_over: true,
                ..Facts::default()
            },
        };
        stage.answer();
        stage
    }

    /// Answers until nothing is asked.
    fn answer(&mut self) {
        let mut is_time = true;
        for _ in 0..5 {
            let Some(asked) = self.state.ask(is_time) else {
                return;
            };
            is_time = false;
            self.state.take(Told {
                epoch: asked.epoch,
                skip: asked.query.skip,
                snapshot: answer(&self.all, &asked.query),
                facts: self.facts.clone(),
            });
        }
        assert!(self.state.ask(false).is_none(), "asks for ever");
    }

    /// Presses keys, by their names.
    fn keys(&mut self, keys: &str) -> &mut Stage {
        for key in keys.split(' ') {
            assert_eq!(
                self.state.on(&Event::Key(pressed(key))),
                Effect::None,
                "{key}"
            );
            self.answer();
        }
        self
    }

    fn types(&mut self, text: &str) -> &mut Stage {
        for c in text.chars() {
            let name = if c == ' ' {
                "Space".to_owned()
            } else {
                c.to_string()
            };
            self.keys(&name);
        }
        self
    }

    fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) -> &mut Stage {
        let mouse = MouseEvent {
            kind,
            column,
            row,
            modifiers: KeyModifiers::NONE,
        };
        assert_eq!(self.state.on(&Event::Mouse(mouse)), Effect::None);
        self.answer();
        self
    }

    fn click(&mut self, column: u16, row: u16) -> &mut Stage {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row)
    }

    fn buffer(&self, symbols: &'static Symbols) -> Buffer {
        let (width, height) = self.state.size();
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        paint(
            &self.state,
            symbols,
            &Clock::new(TimeStyle::Utc),
            &mut buffer,
        );
        buffer
    }

    /// The characters, without blanks at the ends of lines.
    fn picture(&self, symbols: &'static Symbols) -> String {
        let buffer = self.buffer(symbols);
        let mut text = String::new();
        for y in 0..buffer.area.height {
            let line: String = (0..buffer.area.width)
                .map(|x| buffer[(x, y)].symbol())
                .collect();
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    fn line(&self, y: usize) -> String {
        self.picture(&Symbols::UNICODE)
            .lines()
            .nth(y)
            .unwrap_or_default()
            .to_owned()
    }

    fn selected(&self) -> Option<RowKey> {
        self.state
            .row(self.state.rows.at)
            .map(|(key, _)| key.clone())
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/screen/pictures")
}

/// Pictures of one place in several sizes, one after the other; compared with a file, or written to it.
#[derive(Default)]
struct Pictures {
    text: String,
}

impl Pictures {
    fn add(&mut self, stage: &Stage, kind: &str, symbols: &'static Symbols) {
        let (width, height) = stage.state.size();
        let _ = writeln!(
            self.text,
            "== {width}x{height} {kind}\n{}",
            stage.picture(symbols)
        );
    }

    /// In both kinds of characters.
    fn both(&mut self, stage: &Stage) {
        self.add(stage, "unicode", &Symbols::UNICODE);
        self.add(stage, "ascii", &Symbols::ASCII);
    }

    fn compare(self, name: &str) {
        let path = pictures().join(name).with_extension("txt");
        if std::env::var_os("TCPLENS_BLESS").is_some() {
            fs::create_dir_all(pictures()).unwrap();
            fs::write(&path, &self.text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let mut lines = self.text.lines().zip(expected.lines()).enumerate();
        let first = lines.find(|(_, (is, was))| is != was);
        assert!(
            self.text == expected,
            "{name}.txt differs: {first:?}\nIf this is right, dev/bless. It is\n{}",
            self.text
        );
    }
}

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 30), (200, 50)];

#[test]
fn the_table_looks_as_in_the_pictures() {
    for count in [0, 1, 20, 5000] {
        let mut pictures = Pictures::default();
        for size in SIZES {
            pictures.both(&Stage::new(count, size));
        }
        pictures.compare(&format!("table-{count}"));
    }
}

#[test]
fn other_places_look_as_in_the_pictures() {
    for (name, keys) in [
        ("destination", "Enter"),
        ("destination-end", "Enter End"),
        ("request", "Enter Enter"),
        ("connection", "Enter Tab Down Enter"),
        ("numbers", "i"),
        ("help", "?"),
        ("help-end", "? End"),
        ("menu", "b"),
        ("frozen", "f"),
        ("columns", "Right"),
        ("ascending", "s r p"),
    ] {
        let mut pictures = Pictures::default();
        for size in SIZES {
            let mut stage = Stage::new(20, size);
            stage.keys(keys);
            pictures.both(&stage);
        }
        pictures.compare(name);
    }
}

#[test]
fn filters_look_as_in_the_pictures() {
    for (name, text) in [
        ("filter", "requests > 10k and port == 80"),
        ("filter-error", "requests > 10ks and port == 80"),
        ("filter-none", "requests > 10M"),
    ] {
        let mut pictures = Pictures::default();
        for size in SIZES {
            let mut stage = Stage::new(20, size);
            stage.keys("/").types(text);
            pictures.both(&stage);
        }
        pictures.compare(name);
    }
}

#[test]
fn losses_and_messages_look_as_in_the_pictures() {
    let mut pictures = Pictures::default();
    for size in SIZES {
        let mut stage = Stage::new(20, size);
        stage.facts.drops = 4711;
        stage.keys("w");
        stage.state.silent_s = 7;
        let message = "cannot write out.jsonl: No space left on device".to_owned();
        stage.state.message = Some((1, message));
        pictures.both(&stage);
    }
    pictures.compare("loss");
}

#[test]
fn small_terminals_look_as_in_the_pictures() {
    let mut pictures = Pictures::default();
    for size in [(30, 5), (80, 3), (10, 2), (1, 1), (40, 8), (50, 17)] {
        pictures.both(&Stage::new(20, size));
    }
    let mut stage = Stage::new(20, (40, 8));
    stage.keys("Enter");
    pictures.both(&stage);
    pictures.compare("small");
}

#[test]
fn no_size_and_no_place_panics_or_draws_beyond_its_end() {
    for width in [0, 1, 39, 40, 60, 110, 300] {
        for height in [0, 1, 7, 8, 15, 16, 21, 22, 45] {
            for symbols in [&Symbols::UNICODE, &Symbols::ASCII] {
                let mut stage = Stage::new(40, (width, height));
                stage.picture(symbols);
                for keys in [
                    "End", "Enter", "Tab", "Enter", "Esc", "End", "Esc", "?", "End", "Esc", "b",
                    "Esc", "Right",
                ] {
                    stage.keys(keys);
                    stage.picture(symbols);
                }
                stage.keys("/").types("ip = = 3");
                stage.picture(symbols);
            }
        }
    }
}

#[test]
fn values_beyond_their_threshold_have_a_mark_and_not_only_a_colour() {
    let stage = Stage::new(5000, (200, 50));
    for theme in [Theme::Dark, Theme::Light, Theme::Mono] {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 200, 50));
        let mut stage = Stage::new(5000, (200, 50));
        stage.state.theme = theme;
        paint(
            &stage.state,
            &Symbols::UNICODE,
            &Clock::new(TimeStyle::Utc),
            &mut buffer,
        );
        let bad = theme.style(super::look::Tone::Bad);
        let is_bad = |x, y| {
            buffer[(x, y)].style().fg.unwrap_or_default() == bad.fg.unwrap_or_default()
                && buffer[(x, y)].modifier.contains(bad.add_modifier)
        };
        let mut marks = 0;
        for y in 5..49 {
            for x in 41..199 {
                let is_marked = buffer[(x, y)].symbol() == "!";
                marks += usize::from(is_marked);
                assert!(!is_marked || is_bad(x, y), "{theme:?} {x} {y}");
            }
        }
        assert!(marks > 10, "{marks} marks");
    }
    assert!(stage.line(4).contains('!'), "{}", stage.line(4));
}

#[test]
fn keys_move_and_the_selected_destination_is_followed() {
    let mut stage = Stage::new(5000, (80, 24));
    assert_eq!((stage.state.rows.at, stage.state.rows.top), (0, 0));
    stage.keys("j j Down k");
    assert_eq!(stage.state.rows.at, 2);
    stage.keys("PgDn");
    assert_eq!((stage.state.rows.at, stage.state.rows.top), (20, 2));
    stage.keys("G");
    assert_eq!((stage.state.rows.at, stage.state.rows.top), (4999, 4981));
    stage.keys("Ctrl-u g g");
    assert_eq!((stage.state.rows.at, stage.state.rows.top), (0, 0));
    stage.keys("j j");
    let key = stage.selected();
    // It becomes slower than all others.
    let at = stage
        .all
        .iter()
        .position(|(known, _)| Some(known) == key.as_ref())
        .unwrap();
    stage.all[at].1.request_p95_us = Some(tcplens_core::time::Span::from_ns(u64::MAX / 2));
    stage.answer();
    assert_eq!((stage.selected(), stage.state.rows.at), (key, 0));
}

#[test]
fn keys_order_group_and_choose_numbers() {
    let mut stage = Stage::new(20, (80, 24));
    let query = |stage: &Stage| {
        let query = stage.state.query();
        (query.sort, query.descending, query.by, query.over)
    };
    let (server, window) = (GroupBy::Server, Over::Window);
    assert_eq!(query(&stage), ("request_p95_us", true, server, window));
    stage.keys("p");
    assert_eq!(query(&stage), ("request_p99_us", true, server, window));
    stage.keys("s");
    assert_eq!(query(&stage), ("process_p99_us", true, server, window));
    stage.keys("S S");
    assert_eq!(query(&stage), ("responses", true, server, window));
    let page = &stage.state.pages()[stage.state.page];
    assert!(
        page.contains(&stage.state.sort),
        "the column of the order is shown"
    );
    stage.keys("r w");
    assert_eq!(query(&stage), ("responses", false, server, Over::Start));
    stage.keys("b");
    assert_eq!(stage.state.menu, Some(1));
    stage.keys("Down Down Enter");
    assert_eq!(
        query(&stage),
        ("responses", false, GroupBy::Port, Over::Start)
    );
    stage.keys("b q");
    assert_eq!(stage.state.menu, None);
    stage.keys("t");
    assert_eq!(stage.state.theme, Theme::Light);
}

#[test]
fn a_filter_works_while_it_is_typed_and_tells_what_is_wrong() {
    let mut stage = Stage::new(20, (80, 24));
    stage.keys("/").types("port == 80");
    assert_eq!(
        (stage.state.count(), stage.state.error.is_some()),
        (4, false)
    );
    stage.types(" and");
    let error = stage.state.error.as_ref().unwrap().message.clone();
    let shown: Vec<_> = (20..24).map(|y| stage.line(y)).collect();
    assert_eq!(shown[0].trim_end(), "/ port == 80 and");
    let words = |text: &str| {
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&shown[2..].concat()), words(&error));
    assert_eq!(stage.state.count(), 20, "the rows before it was typed");
    // Enter does not hide what is wrong.
    stage.keys("Enter");
    assert!(stage.state.input.is_some());
    stage.types(" requests > 5k").keys("Enter");
    assert!(stage.state.input.is_none() && stage.state.error.is_none());
    let passing = stage.state.count();
    assert!(passing > 0 && passing < 4, "{passing}");
    assert!(
        stage
            .line(23)
            .starts_with("filter: port == 80 and requests > 5k"),
        "{}",
        stage.line(23)
    );
    // q is a letter there, and Esc takes the filter away.
    stage.keys("/ q Esc");
    assert_eq!(
        (stage.state.count(), stage.state.filter.is_some()),
        (20, false)
    );
}

#[test]
fn a_frozen_table_stays_and_is_still_ordered_filtered_and_opened() {
    let mut stage = Stage::new(300, (80, 24));
    stage.keys("f");
    let before = stage.line(4);
    stage.all.iter_mut().for_each(|(_, peer)| peer.requests = 0);
    stage.answer();
    assert_eq!(stage.line(4), before);
    assert!(stage.line(0).contains("FROZEN"), "{}", stage.line(0));
    stage.keys("G");
    assert_eq!(stage.state.rows.at, 299);
    assert!(stage.selected().is_some(), "all rows are kept");
    stage.keys("s r g");
    let least: Vec<_> = (0..3)
        .map(|at| stage.state.row(at).unwrap().1.process_p95_us.unwrap())
        .collect();
    assert!(least.is_sorted(), "{least:?}");
    stage.keys("/").types("port == 443").keys("Enter");
    assert_eq!(stage.state.count(), 60);
    stage.keys("Enter");
    assert_eq!(stage.state.place, Place::Destination);
    assert!(stage.state.detail.is_some());
    stage.keys("Esc f");
    assert!(stage.state.row(0).unwrap().1.requests == 0, "it goes on");
}

#[test]
fn a_destination_is_opened_and_left_again() {
    let mut stage = Stage::new(20, (120, 30));
    stage.keys("j Enter");
    assert_eq!(stage.state.place, Place::Destination);
    assert_eq!(stage.state.key, stage.selected());
    stage.keys("Tab");
    assert_eq!(stage.state.lines.at, 12);
    stage.keys("Enter");
    assert_eq!(stage.state.place, Place::Record(Subject::Connection(0)));
    stage.keys("Esc Tab Enter");
    assert_eq!(stage.state.place, Place::Record(Subject::Request(0)));
    stage.keys("h Backspace");
    assert_eq!(
        (&stage.state.place, &stage.state.detail.is_some()),
        (&Place::Table, &false)
    );
    assert_eq!(stage.state.rows.at, 1);
    stage.keys("i");
    assert_eq!(stage.state.place, Place::Record(Subject::Peer));
    stage.keys("Esc");
    assert_eq!(stage.state.place, Place::Table);
}

#[test]
fn the_verdict_tells_what_is_slow_and_since_when() {
    let mut stage = Stage::new(20, (120, 30));
    stage.keys("Enter");
    let said = stage.line(2);
    assert!(said.contains("requests slow: p95 "), "{said}");
    assert!(said.contains(" since 01:07:4"), "{said}");
    assert!(said.contains("of it in the server"), "{said}");
}

#[test]
fn the_mouse_selects_opens_orders_and_scrolls() {
    let mut stage = Stage::new(100, (80, 24));
    stage.click(3, 6);
    assert_eq!(
        (stage.state.rows.at, &stage.state.place),
        (2, &Place::Table)
    );
    stage.click(3, 6);
    assert_eq!(stage.state.place, Place::Destination);
    stage.mouse(MouseEventKind::Down(MouseButton::Right), 3, 6);
    assert_eq!(stage.state.place, Place::Table);
    stage.mouse(MouseEventKind::ScrollDown, 3, 6);
    assert_eq!(stage.state.rows.at, 5);
    let x = stage.line(2).chars().collect::<Vec<_>>();
    let x = x
        .windows(5)
        .position(|word| word.iter().collect::<String>() == "SYN/s")
        .unwrap();
    let x = u16::try_from(x).unwrap();
    stage.click(x, 2);
    assert_eq!(
        (stage.state.query().sort, stage.state.descending),
        ("attempts", true)
    );
    stage.click(x, 2);
    assert_eq!(
        (stage.state.query().sort, stage.state.descending),
        ("attempts", false)
    );
    // In a destination the line that is clicked is selected, whatever is passed over.
    stage.keys("Enter");
    let y = stage.state.plots_height();
    stage.click(3, u16::try_from(y + 2).unwrap());
    assert_eq!(stage.state.lines.at, 1);
    stage.click(3, u16::try_from(y).unwrap());
    assert_eq!(
        (stage.state.lines.at, &stage.state.place),
        (1, &Place::Destination)
    );
    stage.click(3, u16::try_from(y + 2).unwrap());
    assert_eq!(stage.state.place, Place::Record(Subject::Request(1)));
}

#[test]
fn an_answer_to_an_old_question_is_not_shown() {
    let mut stage = Stage::new(20, (80, 24));
    let asked = stage.state.ask(true).unwrap();
    assert_eq!(stage.state.on(&Event::Key(pressed("r"))), Effect::None);
    let told = Told {
        epoch: asked.epoch,
        skip: 0,
        snapshot: answer(&stage.all, &asked.query),
        facts: Facts::default(),
    };
    assert!(!stage.state.take(told));
    assert!(stage.state.ask(false).is_some(), "asked anew");
}

#[test]
fn q_and_ctrl_c_end_and_ctrl_z_stops() {
    for (keys, last, expected) in [
        ("j", "q", Effect::Quit),
        ("/", "Ctrl-c", Effect::Quit),
        ("?", "Ctrl-c", Effect::Quit),
        ("?", "q", Effect::None),
        ("Enter", "q", Effect::Quit),
        ("j", "Ctrl-z", Effect::Suspend),
        ("j", "Ctrl-l", Effect::Redraw),
    ] {
        let mut stage = Stage::new(20, (80, 24));
        stage.keys(keys);
        assert_eq!(
            stage.state.on(&Event::Key(pressed(last))),
            expected,
            "{keys} {last}"
        );
    }
}

#[test]
fn another_size_keeps_the_selected_line_on_the_screen() {
    let mut stage = Stage::new(100, (200, 50));
    stage.keys("PgDn j j Right");
    assert_eq!(stage.state.on(&Event::Resize(60, 12)), Effect::Redraw);
    stage.answer();
    let rows = stage.state.rows;
    assert!(
        (rows.top..rows.top + stage.state.height()).contains(&rows.at),
        "{rows:?}"
    );
    assert!(stage.selected().is_some());
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = told.split(' ').next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or_default())
}

#[test]
fn drawing_5000_destinations_four_times_a_second_takes_less_than_5_percent_of_a_core() {
    const FRAMES: u32 = 40;
    let mut stage = Stage::new(5000, (200, 60));
    let mut shown = Buffer::empty(Rect::ZERO);
    let (mut spent, mut bytes) = (Duration::ZERO, 0);
    for frame in 0..FRAMES {
        // Every number of every row is another one.
        for (n, (_, peer)) in stage.all.iter_mut().enumerate() {
            peer.requests += u64::from(frame) * 7 + n as u64 % 13 + 1;
            peer.attempts += u64::from(frame) + 1;
            peer.bytes_in = peer.requests * 999;
        }
        stage.answer();
        let begun = cpu();
        let next = stage.buffer(&Symbols::UNICODE);
        bytes += changes(&mut shown, &next).unwrap().len();
        shown = next;
        spent += cpu() - begun;
    }
    let each = spent / FRAMES;
    let share = each.as_secs_f64() * 4.0 * 100.0;
    println!(
        "{} us CPU a frame of 200x60, {share:.2} % of a core at 4 a second, {} bytes a frame",
        each.as_micros(),
        bytes / FRAMES as usize
    );
    // Without optimisation; with it, it is a tenth.
    assert!(spent > Duration::ZERO && share < 5.0, "{share} %");
}

/// The keys, the mouse and the columns as Markdown.
fn reference() -> String {
    let mut text = String::from("| key | what it does |\n|---|---|\n");
    for key in KEYS {
        let names: Vec<_> = key
            .keys
            .split(' ')
            .map(|name| format!("`{name}`"))
            .collect();
        let _ = writeln!(
            text,
            "| {} | {} |",
            names.join(" "),
            key.what.replace('|', "\\|")
        );
    }
    for (name, what) in MOUSE {
        let _ = writeln!(text, "| {name} | {what} |");
    }
    text.push_str("\n| column of the screen | field | what it is |\n|---|---|---|\n");
    for column in COLUMNS {
        let name = column.name.replace('%', "p95");
        let field = column.field(Percentile::P95);
        let _ = writeln!(text, "| {name} | `{field}` | {} |", column.doc);
    }
    text
}

#[test]
fn the_page_has_the_keys_and_columns_that_the_help_has() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/top.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once("\n### Keys\n").unwrap();
    let (written, after) = rest.split_once("\n## ").unwrap();
    let declared = reference();
    if std::env::var_os("TCPLENS_BLESS").is_some() {
        fs::write(&path, format!("{before}\n### Keys\n{declared}\n## {after}")).unwrap();
        return;
    }
    assert_eq!(written, declared, "docs/top.md: dev/bless rewrites it");
    // The help shows all of it.
    let mut stage = Stage::new(0, (250, 100));
    stage.keys("?");
    let help = stage.picture(&Symbols::UNICODE);
    for key in KEYS {
        assert!(
            help.contains(key.keys) && help.contains(&key.what.replace('`', "")),
            "{}",
            key.keys
        );
    }
    for column in COLUMNS {
        assert!(help.contains(column.doc), "{}", column.name);
    }
}
