//! TCP-RT's lines (`--format tcprt`): R, W, N and P from requests, E from connections, with TCP-RT's columns.
//!
//! References: the kernel document Documentation/networking/tcprt.rst, and how TCP-RT's own state machine ends a task.
//! What packets do not tell is `0`: the congestion window and the smoothed round trip of V7. TCP-RT times the end of a
//! response by the ACK that covers it (the record's T4); where no such ACK was seen, T3 stands for it. Its shortest round
//! trip is that of the whole path; here the halves to the client and to the server are added, as far as they are known.
//!
//! V6, but for TLS handshakes (`V7 R.H`), and for HTTP if the user asked for that protocol (`V7 R`).
//!
//! The kernel tells all of it: which end is observed, segment size, congestion window, what was not acknowledged; and what a
//! line is, by the marks of the task: V7 with its tags in alphabetical order, and in this order behind the ten columns of V6
//! smoothed round trip and congestion window, the duration of a TLS 1.3 handshake, two columns for each threshold of first
//! frames. After 12 columns an odd number that is left means that the first is the duration. Bytes are exact: TCP-RT's own
//! contain FINs, and so do those of E and N with [`Tcprt::compatible`].

use std::collections::BTreeMap;
use std::fmt::Write;

use tcplens_core::record::{
    Connection, ConnectionId, Direction, End, Handshake, Protocol, Request, Side, Status, Vantage,
};
use tcplens_core::time::{SECOND, Span, Timestamp};

use crate::human::Endpoint;

/// Connections that are remembered until their E line. Chosen: as many as are kept at once by default.
const CONNECTIONS: usize = 1_000_000;

/// Bytes that the TCP timestamp option takes of each segment (RFC 7323, with padding).
const TIMESTAMPS: u64 = 12;

/// Prints TCP-RT's lines.
#[derive(Debug, Default)]
pub struct Tcprt {
    /// Ports of remote servers: their requests are P lines.
    peer_ports: Vec<(u16, u16)>,
    /// HTTP was asked for: its lines are V7.
    has_http: bool,
    /// See [`Tcprt::compatible`].
    is_compatible: bool,
    known: BTreeMap<ConnectionId, Known>,
    /// Connections that were forgotten before their end, because there were too many: they have no E line.
    pub forgotten: u64,
}

/// What is known of a connection that has not ended.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Largest segment; 0 where the handshake was not seen.
    mss: u64,
    /// Its last task and when that began.
    last: Option<(u64, Timestamp)>,
    /// A task that was cut off, until it is known when.
    pending: Option<Cut>,
}

/// A task whose connection ended in it: W while it was sent the response, N while it was sending the request.
#[derive(Clone, Copy, Debug)]
struct Cut {
    time: Timestamp,
    task: u64,
    has_response: bool,
    /// A close_notify.
    is_farewell: bool,
    unacked_bytes: u64,
    request_bytes: u64,
    response_bytes: u64,
    retransmits: u64,
    upload_us: u64,
    process_us: u64,
    min_rtt_us: u64,
    reordered: bool,
}

impl Tcprt {
    /// Requests to `peer_ports` are those of the observed host: P lines; so are outbound ones. `has_http`: HTTP has V7
    /// lines.
    #[must_use]
    pub fn new(peer_ports: Vec<(u16, u16)>, has_http: bool) -> Tcprt {
        Tcprt {
            peer_ports,
            has_http,
            ..Tcprt::default()
        }
    }

    /// As TCP-RT's module itself writes: the bytes of E and N lines have one more for each FIN, and a request that was cut off
    /// by a FIN of the observed server has no N line, for the module takes that FIN for a response (also to a close_notify).
    /// In E and N lines alone: when a FIN came is told of connections and not of tasks. So R and P lines of an end that closes
    /// its half before the response stay exact, and the FIN of a client is no task of its own, which the module makes of it.
    #[must_use]
    pub fn compatible(self, is_compatible: bool) -> Tcprt {
        Tcprt {
            is_compatible,
            ..self
        }
    }

    /// Other ports of remote servers from here on.
    pub fn set_peer_ports(&mut self, peer_ports: Vec<(u16, u16)>) {
        self.peer_ports = peer_ports;
    }

    /// Learns the segment sizes of a connection.
    pub fn handshake(&mut self, handshake: &Handshake) {
        let (Some(client), Some(server)) = (handshake.client_mss, handshake.server_mss) else {
            return;
        };
        let options = match handshake.timestamps {
            Some(true) => TIMESTAMPS,
            _ => 0,
        };
        let mss = client.min(server).saturating_sub(options);
        self.at(handshake.connection_id).mss = mss;
    }

    /// Appends the line of a request, unless it has to wait for the end of its connection.
    pub fn request(&mut self, request: &Request<'_>, out: &mut String) {
        let is_peer = match request.vantage {
            Vantage::Kernel | Vantage::Socket => request.tap_side == Side::Client,
            Vantage::File | Vantage::Wire => self.is_peer(request.server_port, request.direction),
        };
        let (has_http, cut) = (self.has_http, cut(request));
        let known = self.at(request.connection_id);
        known.last = Some((request.task, request.time));
        if let Some(mss) = request.path.and_then(|path| path.mss) {
            known.mss = mss;
        }
        let mss = known.mss;
        match request.status {
            Status::Ok | Status::Error if is_peer => p(request, mss, out),
            Status::Ok | Status::Error => r(request, mss, has_http, out),
            Status::None if cut.is_farewell => known.pending = Some(cut),
            // One more request than TCP-RT sees.
            Status::None => {}
            Status::Unanswered => known.pending = Some(cut),
        }
    }

    /// Appends what is left to say of a connection: W or N, and E.
    pub fn connection(&mut self, connection: &Connection, out: &mut String) {
        if !connection.is_final {
            return;
        }
        let Some(known) = self.known.remove(&connection.connection_id) else {
            return;
        };
        let is_peer = match connection.vantage {
            Vantage::Kernel | Vantage::Socket => connection.tap_side == Side::Client,
            Vantage::File | Vantage::Wire => {
                self.is_peer(connection.server_port, connection.direction)
            }
        };
        let Some((task, began)) = known.last else {
            return;
        };
        let ends = Ends::of(
            is_peer,
            Endpoint(connection.client_ip, connection.client_port),
            Endpoint(connection.server_ip, connection.server_port),
        );
        let closed = connection.duration_us.map(|duration| {
            connection
                .time
                .plus(duration.ns().min(i64::MAX as u64) as i64)
        });
        // Behind what was never sent, a FIN was not sent either.
        let unsent = connection.path.as_ref().and_then(|path| path.unsent_bytes);
        let local = if is_peer { End::Client } else { End::Server };
        let fins = |end| {
            let is_held_back = end == local && unsent > Some(0);
            u64::from(self.is_compatible && has_fin(connection, end) && !is_held_back)
        };
        let (client_fins, server_fins) = (fins(End::Client), fins(End::Server));
        if let (Some(cut), false) = (known.pending, is_peer)
            && (cut.has_response || server_fins == 0)
        {
            let since = closed.and_then(|closed| closed.since(cut.time));
            let cut = Cut {
                request_bytes: cut.request_bytes + client_fins,
                ..cut
            };
            cut.write(&ends, us(since), known.mss, out);
        }
        let client = (&connection.client, client_fins);
        let server = (&connection.server, server_fins);
        let ((sent, sent_fins), (got, got_fins)) = match is_peer {
            true => (client, server),
            false => (server, client),
        };
        let rtt = [connection.client.rtt_min_us, connection.server.rtt_min_us];
        let unacked = connection.path.as_ref().and_then(|path| path.unacked_bytes);
        head(out, "V6 E", began, &ends);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{task} {} {} {} {} {} ",
            sent.bytes + sent_fins,
            unacked.unwrap_or_default(),
            got.bytes + got_fins,
            sent.retransmits,
            path(rtt)
        );
    }

    fn is_peer(&self, port: u64, direction: Option<Direction>) -> bool {
        let mut named = self.peer_ports.iter();
        named.any(|&(low, high)| (u64::from(low)..=u64::from(high)).contains(&port))
            || direction == Some(Direction::Outbound)
    }

    fn at(&mut self, id: ConnectionId) -> &mut Known {
        if self.known.len() >= CONNECTIONS && !self.known.contains_key(&id) {
            // The oldest: most likely a datagram flow, which has no end.
            self.known.pop_first();
            self.forgotten += 1;
        }
        self.known.entry(id).or_default()
    }
}

/// Whether an end sent a FIN.
fn has_fin(connection: &Connection, end: End) -> bool {
    [connection.first_fin, connection.last_fin].contains(&Some(end))
}

/// Peer and local address, in the order in which TCP-RT prints them.
struct Ends(Endpoint, Endpoint);

impl Ends {
    fn of(is_peer: bool, client: Endpoint, server: Endpoint) -> Ends {
        match is_peer {
            true => Ends(server, client),
            false => Ends(client, server),
        }
    }
}

fn head(out: &mut String, kind: &str, time: Timestamp, ends: &Ends) {
    let (seconds, ns) = (time.0.div_euclid(SECOND), time.0.rem_euclid(SECOND));
    // Writing to a String cannot fail.
    let _ = write!(out, "{kind} {seconds} {} {} {} ", ns / 1000, ends.0, ends.1);
}

fn ends(request: &Request<'_>, is_peer: bool) -> Ends {
    Ends::of(
        is_peer,
        Endpoint(request.client_ip, request.client_port),
        Endpoint(request.server_ip, request.server_port),
    )
}

/// A request that the observed host, a server, was sent.
fn r(request: &Request<'_>, mss: u64, has_http: bool, out: &mut String) {
    let marks = request.marks;
    let tagged = tags_of(request).map(|tags| format!("V7 R.{tags}"));
    let (kind, is_v7) = match request.protocol {
        _ if tagged.is_some() => (tagged.as_deref().unwrap_or_default(), true),
        _ if request.vantage == Vantage::Kernel => {
            match marks.is_some_and(|marks| marks.mode.is_some()) {
                true => ("V7 R", true),
                false => ("V6 R", false),
            }
        }
        Protocol::Tls => ("V7 R.H", true),
        Protocol::Http | Protocol::Http2 | Protocol::Grpc | Protocol::Websocket if has_http => {
            ("V7 R", true)
        }
        _ => ("V6 R", false),
    };
    head(out, kind, request.time, &ends(request, false));
    let _ = write!(
        out,
        "{} {} {} {} {} {} {} {} {} {mss} ",
        request.response_bytes,
        us(request.delivered_us.or(request.total_us)),
        min_rtt(request),
        request.retransmits,
        request.task,
        us(request.process_us),
        us(request.upload_us),
        request.request_bytes,
        u64::from(request.reordered)
    );
    if is_v7 {
        v7(request, out);
    }
    out.push('\n');
}

/// What V7 has behind the columns of V6.
fn v7(request: &Request<'_>, out: &mut String) {
    let cwnd = request.path.and_then(|path| path.cwnd_segments);
    let rtt = us(request.path.and_then(|path| path.rtt_us));
    let _ = write!(out, "{rtt} {} ", cwnd.unwrap_or_default());
    let Some(marks) = request.marks else {
        return;
    };
    if let Some(handshake) = marks.handshake_us {
        let _ = write!(out, "{} ", us(Some(handshake)));
    }
    for frame in &marks.first_frames {
        let [bytes, us] = [frame.bytes, frame.us].map(Option::unwrap_or_default);
        let _ = write!(out, "{bytes} {us} ");
    }
}

/// A request that the observed host, a client, sent.
fn p(request: &Request<'_>, mss: u64, out: &mut String) {
    head(out, "V6 P", request.time, &ends(request, true));
    let _ = writeln!(
        out,
        "{} {} {} {} {} {} {} {} {} {mss} ",
        request.request_bytes,
        us(request.total_us),
        min_rtt(request),
        request.retransmits,
        request.task,
        us(request.process_us),
        us(request.transfer_us),
        request.response_bytes,
        u64::from(request.reordered)
    );
}

fn cut(request: &Request<'_>) -> Cut {
    Cut {
        time: request.time,
        task: request.task,
        // The kernel knows of a response before any of it was sent.
        has_response: request.response_bytes > 0
            || request.path.is_some_and(|path| path.unsent_bytes > Some(0)),
        is_farewell: request.status == Status::None
            && tags_of(request).is_some_and(|tags| tags.contains('A')),
        unacked_bytes: unacked(request),
        request_bytes: request.request_bytes,
        response_bytes: request.response_bytes,
        retransmits: request.retransmits,
        upload_us: us(request.upload_us),
        process_us: us(request.process_us),
        min_rtt_us: min_rtt(request),
        reordered: request.reordered,
    }
}

fn tags_of<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.marks.and_then(|marks| marks.tags.as_deref())
}

fn unacked(request: &Request<'_>) -> u64 {
    let path = request.path.and_then(|path| path.unacked_bytes);
    path.unwrap_or_default()
}

impl Cut {
    fn write(&self, ends: &Ends, since_us: u64, mss: u64, out: &mut String) {
        let reordered = u64::from(self.reordered);
        if self.has_response {
            head(out, "V6 W", self.time, ends);
            let _ = writeln!(
                out,
                "{} {since_us} {} {} {} {} {} {} {reordered} {mss} ",
                self.response_bytes,
                self.min_rtt_us,
                self.retransmits,
                self.task,
                self.process_us,
                self.upload_us,
                self.unacked_bytes
            );
        } else {
            let kind = if self.is_farewell { "V7 N.A" } else { "V6 N" };
            head(out, kind, self.time, ends);
            let _ = writeln!(
                out,
                "{} {since_us} {} {reordered} {mss} ",
                self.task, self.request_bytes
            );
        }
    }
}

fn min_rtt(request: &Request<'_>) -> u64 {
    path([request.client_rtt_us, request.server_rtt_us])
}

/// The whole path: both halves, or the one that is known. Whole µs.
fn path(halves: [Option<Span>; 2]) -> u64 {
    let ns = halves.into_iter().flatten().map(Span::ns);
    ns.fold(0, u64::saturating_add) / 1000
}

fn us(span: Option<Span>) -> u64 {
    span.map_or(0, |span| span.ns() / 1000)
}
