//! `stat`: asks a running instance over its socket, and shows or sends on what it answers (tcpeekstat). The other end may
//! be tcpeek itself.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tcplens_output::tcpeek::{self, Entry};
use tcplens_output::{SinkEnd, ganglia};

use crate::cli::Stat;
use crate::status::usage;

/// How long an instance may take to answer: longer than it gives itself.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest answer; far above a statistic of all servers that an instance tells apart.
const ANSWER: u64 = 64 << 20;
/// The name that `--gmetric` asks under, if none is given.
const GMETRIC: &str = "gmetric";

pub(super) fn run(command: &Stat) -> Result<ExitCode> {
    if let (Some(name), [question, ..]) = (&command.since_last, command.question.as_slice()) {
        return Err(usage(format!(
            "--since-last is for totals of attempts; {question} tells all since the start: leave out --since-last, or \
             ask `tcplens stat --since-last {name}`"
        )));
    }
    let gmond = command.gmetric.as_deref().map(Gmond::new).transpose()?;
    loop {
        match &gmond {
            Some(gmond) => {
                let name = command.since_last.as_deref().unwrap_or(GMETRIC);
                let answer = ask(command, &format!("REFRESH {name}"))?;
                gmond.send(&entries(command, &answer)?)?;
            }
            None if command.question.is_empty() => show(command)?,
            None => relay(command, &question(command))?,
        }
        let Some(pause) = command.watch else {
            return Ok(ExitCode::SUCCESS);
        };
        sleep(Duration::from_nanos(pause.ns()));
    }
}

/// What was asked, in words of the instance; a summary as text unless JSON is wanted.
fn question(command: &Stat) -> String {
    let question = command.question.join(" ");
    match question.eq_ignore_ascii_case("summary") && !command.json {
        true => "summary text".to_owned(),
        false => question,
    }
}

/// tcpeek's totals, as text or as they are.
fn show(command: &Stat) -> Result<()> {
    let answer = match &command.since_last {
        Some(name) => ask(command, &format!("REFRESH {name}"))?,
        None => ask(command, "GET")?,
    };
    // Also what is passed on as it is has been understood: an error is none of it.
    let entries = entries(command, &answer)?;
    let text = match command.json {
        true => answer.trim().to_owned() + "\n",
        false => tcpeek::text(&entries),
    };
    print(text.as_bytes())
}

fn entries(command: &Stat, answer: &str) -> Result<Vec<Entry>> {
    tcpeek::read(answer).with_context(|| {
        let begin: String = answer.trim().chars().take(200).collect();
        format!(
            "cannot understand what {} answers: {begin:?} are no totals; is it tcplens or tcpeek that listens there?",
            command.socket.display()
        )
    })
}

/// Asks, and waits for the whole answer.
fn ask(command: &Stat, question: &str) -> Result<String> {
    let stream = connect(command, question)?;
    let failed = || format!("cannot read the answer of {}", command.socket.display());
    stream
        .set_read_timeout(Some(PATIENCE))
        .with_context(failed)?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER)
        .read_to_end(&mut answer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => io::Error::other(format!(
                "nothing came for {} s; is it still running?",
                PATIENCE.as_secs()
            )),
            _ => error,
        })
        .with_context(failed)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if let Some(why) = refusal(&answer) {
        bail!(
            "{} does not answer {question:?}: {why}",
            command.socket.display()
        );
    }
    if answer.trim().is_empty() {
        bail!(
            "{} says nothing to {question:?}; is it tcplens or tcpeek that listens there?",
            command.socket.display()
        );
    }
    Ok(answer)
}

/// Asks, and prints the answer as it comes, which may be for ever.
fn relay(command: &Stat, question: &str) -> Result<()> {
    let mut stream = connect(command, question)?;
    let mut bytes = vec![0; 64 * 1024];
    let mut is_begin = true;
    loop {
        let n = match stream.read(&mut bytes) {
            Ok(0) if is_begin => bail!(
                "{} says nothing to {question:?}; `tcplens stat help` tells what it answers",
                command.socket.display()
            ),
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(error).with_context(|| {
                    format!("cannot read the answer of {}", command.socket.display())
                });
            }
        };
        let read = bytes.get(..n).unwrap_or_default();
        if is_begin && let Some(why) = refusal(&String::from_utf8_lossy(read)) {
            bail!(
                "{} does not answer {question:?}: {why}",
                command.socket.display()
            );
        }
        is_begin = false;
        print(read)?;
    }
}

/// Connects and asks.
fn connect(command: &Stat, question: &str) -> Result<UnixStream> {
    let path = &command.socket;
    let advice = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such socket; start an instance with -U, or name its socket with -U PATH"
        }
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there any more; start the instance again with -U"
        }
        io::ErrorKind::PermissionDenied => {
            "only its owner and group may ask; run this as one of them"
        }
        _ => "name the socket of a running instance with -U PATH",
    };
    let mut stream = UnixStream::connect(path).map_err(|error| {
        anyhow::anyhow!("cannot ask {}: {error}: {}", path.display(), advice(&error))
    })?;
    let failed = || format!("cannot ask {}", path.display());
    stream
        .set_write_timeout(Some(PATIENCE))
        .with_context(failed)?;
    // CRLF: tcpeek knows no other end.
    stream
        .write_all(format!("{question}\r\n").as_bytes())
        .and_then(|()| stream.shutdown(Shutdown::Write))
        .with_context(failed)?;
    Ok(stream)
}

/// What an instance says that does not answer.
fn refusal(answer: &str) -> Option<String> {
    let text = answer.trim().strip_prefix("{\"error\":\"")?;
    Some(text.strip_suffix("\"}")?.replace("\\\"", "\""))
}

fn print(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            // The reader has seen enough.
            io::ErrorKind::BrokenPipe => SinkEnd::Closed {
                name: "standard output".into(),
            }
            .into(),
            _ => anyhow::Error::from(error).context("cannot write to standard output"),
        })
}

/// Where metrics are sent.
struct Gmond {
    name: String,
    address: SocketAddr,
    socket: UdpSocket,
    /// This host, as Ganglia shall call it.
    host: String,
}

impl Gmond {
    fn new(name: &str) -> Result<Gmond> {
        let advice = "write the address of a gmond, such as --gmetric=239.2.11.71:8649";
        let failed = || format!("cannot send to gmond at {name}");
        let address = name
            .to_socket_addrs()
            .with_context(|| format!("cannot send to gmond at {name}; {advice}"))?
            .next()
            .with_context(|| {
                format!("cannot send to gmond at {name}: it has no address; {advice}")
            })?;
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).with_context(failed)?;
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").with_context(failed)?;
        Ok(Gmond {
            name: name.to_owned(),
            address,
            socket,
            host: host.trim().to_owned(),
        })
    }

    /// Sends every number of every filter, under tcpeekstat's names.
    fn send(&self, entries: &[Entry]) -> Result<()> {
        for entry in entries {
            // Those of the capture itself tcpeekstat does not send.
            let sections = entry.sections.iter().filter(|(name, _)| name != "stats");
            for (section, items) in sections {
                for (item, value) in items {
                    let Some(value) = *value else { continue };
                    let metric = format!("tcpeek_{}_{section}_{item}", entry.name);
                    for packet in ganglia::uint32(&self.host, &metric, value) {
                        self.socket
                            .send_to(&packet, self.address)
                            .with_context(|| {
                                format!(
                                    "cannot send {metric} to gmond at {}; is there a route to it?",
                                    self.name
                                )
                            })?;
                    }
                }
            }
        }
        Ok(())
    }
}
