//! A request as it travels from its shard to the views: compact, its words in the batch. The record is made when a
//! view asks for it; what nobody looks at costs nothing.

use std::ops::Range;

use super::{
    ConnectionId, Direction, EndedBy, Protocol, Request, RequestExtra, RoleFrom, Side, Status,
    Vantage, Verdict,
};
use crate::proto::ANSWERS_BEGIN;
use crate::roles::end;
use crate::time::{Span, Timestamp};
use crate::wire::segment::{FlowKey, Tunnel};

/// See the module. Fields are those of [`Request`].
#[derive(Clone, Debug)]
pub struct RequestRow {
    /// The connection's ends.
    pub flow: FlowKey,
    /// Which end is the client.
    pub client: u8,
    /// See [`Request::role_from`].
    pub role_from: RoleFrom,
    /// See [`Request::vantage`].
    pub vantage: Vantage,
    /// See [`Request::direction`].
    pub direction: Option<Direction>,
    /// See [`Request::tap_side`].
    pub tap_side: Side,
    /// See [`Request::tunnel`].
    pub tunnel: Tunnel,
    /// See [`Request::vlan`]; 0 for none.
    pub vlan: u16,
    /// See [`Request::connection_id`].
    pub connection_id: ConnectionId,
    /// See [`Request::protocol`].
    pub protocol: Protocol,
    /// See [`Request::status`].
    pub status: Status,
    /// See [`Request::ended_by`].
    pub ended_by: EndedBy,
    /// See [`Request::capture_loss`].
    pub capture_loss: bool,
    /// See [`Request::reordered`].
    pub reordered: bool,
    /// See [`Request::cut`].
    pub cut: bool,
    /// See [`Request::gap`].
    pub gap: bool,
    /// See [`Request::status_code`].
    pub status_code: Option<u32>,
    /// Where the batch's words hold the operation; empty for none.
    pub operation: Range<u32>,
    /// The summary.
    pub summary: Range<u32>,
    /// The status text; behind it, of DNS, the addresses that were answered (`proto::Texts::answers`).
    pub status_text: Range<u32>,
    /// First request byte, last request byte, first response byte, last response byte, the ACK that covers it.
    pub times: Times,
    /// See [`Request::request_bytes`].
    pub request_bytes: u64,
    /// See [`Request::response_bytes`].
    pub response_bytes: u64,
    /// See [`Request::task`].
    pub task: u64,
    /// See [`Request::queued`].
    pub queued: u32,
    /// See [`Request::retransmits`].
    pub retransmits: u32,
    /// Shortest round trips to client and server, in ns.
    pub rtt: [Option<u64>; 2],
    /// End of the response before it on a connection that answers in order; [`Timestamp::MIN`] for none.
    pub queue_end: Timestamp,
    /// The time budget in ns, in the order of [`Verdict`], where loss or a closed window have a part in it; where not, it
    /// follows from the times.
    pub troubled: Option<Box<[u64; 7]>>,
    /// Something held it up of which nobody knows how long: it has no time budget.
    pub is_held_up: bool,
    /// Packet numbers of T0 and T2; 0 where there is none.
    pub frames: [u64; 2],
    /// The largest receive windows that client and server announced so far, in bytes; 0 where that is not known.
    pub windows: [u32; 2],
}

/// T0 to T4; [`Timestamp::MIN`] for what was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// T0; always seen.
    pub first_request: Timestamp,
    /// T1.
    pub last_request: Timestamp,
    /// T2.
    pub first_response: Timestamp,
    /// T3; of a response that was cut off, its last byte.
    pub last_response: Timestamp,
    /// T4.
    pub acknowledged: Timestamp,
}

impl Times {
    /// T0 to T3, if all were seen and are in order.
    #[must_use]
    pub fn in_order(&self) -> Option<[Timestamp; 4]> {
        let times = [
            self.first_request,
            self.last_request,
            self.first_response,
            self.last_response,
        ];
        // What was not seen is before everything.
        (self.last_request != Timestamp::MIN && times.is_sorted()).then_some(times)
    }
}

/// The stages of a request, without trouble: client, queue, server and network, transfer.
#[must_use]
pub(crate) fn stages(
    [t0, t1, t2, t3]: [Timestamp; 4],
    queue_end: Timestamp,
) -> [(Timestamp, Timestamp); 4] {
    let queue_end = queue_end.clamp(t1, t2);
    [(t0, t1), (t1, queue_end), (queue_end, t2), (t2, t3)]
}

/// The budget of a request, in the order of [`Verdict`], from the ns of its [`stages`] and of loss and window.
#[must_use]
pub(crate) fn budget(stages: [u64; 4], loss: u64, window: u64, server_rtt: u64) -> [u64; 7] {
    let [client, queue, answer, transfer] = stages;
    let network = answer.min(server_rtt);
    [
        client,
        queue,
        answer - network,
        network,
        loss,
        window,
        transfer,
    ]
}

impl RequestRow {
    /// Whether its response was seen to its end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.status, Status::Ok | Status::Error) && self.ended_by == EndedBy::Response
    }

    /// The time budget in ns, in the order of [`Verdict`]; it sums to T3 - T0.
    #[must_use]
    pub fn budget(&self) -> Option<[u64; 7]> {
        if !self.is_whole() || self.is_held_up {
            return None;
        }
        if let Some(troubled) = &self.troubled {
            return Some(**troubled);
        }
        let server_rtt = match (self.vantage, self.tap_side) {
            // It looks from inside the server.
            (Vantage::Kernel, Side::Server) => 0,
            _ => self.rtt[1]?,
        };
        let times = self.times.in_order()?;
        let ns = stages(times, self.queue_end).map(|(from, to)| to.since(from).map_or(0, Span::ns));
        Some(budget(ns, 0, 0, server_rtt))
    }

    /// See [`Request::window_limit_bytes`].
    #[must_use]
    pub fn window_limit(&self) -> Option<u64> {
        /// Below, it may be the first flight that decides.
        const WINDOWS: u64 = 6;
        let [client, server] = self.windows.map(u64::from);
        let is_long = |bytes: u64, window: u64| window > 0 && bytes >= WINDOWS * window;
        let is_response = is_long(self.response_bytes, client);
        if !is_response && !is_long(self.request_bytes, server) || !self.is_whole() {
            return None;
        }
        let round_trip = u128::from(self.rtt[0]?) + u128::from(self.rtt[1]?);
        let [t0, t1, t2, t3] = self.times.in_order()?;
        let is_limited = |bytes: u64, window: u64, from: Timestamp, to: Timestamp| {
            let took = u128::from(to.since(from).map_or(0, Span::ns)) * u128::from(window);
            let usual = round_trip * u128::from(bytes);
            is_long(bytes, window) && (usual * 8..=usual * 18).contains(&(took * 10))
        };
        if is_limited(self.response_bytes, client, t2, t3) {
            return Some(client);
        }
        is_limited(self.request_bytes, server, t0, t1).then_some(server)
    }
}

/// A request by reference: its row, and the words of its batch.
#[derive(Clone, Copy, Debug)]
pub struct RequestRef<'a> {
    /// What is known of it.
    pub row: &'a RequestRow,
    /// Where its words are.
    pub words: &'a [u8],
    /// What the kernel tells besides.
    pub extra: Option<&'a RequestExtra>,
}

impl<'a> RequestRef<'a> {
    /// The record.
    #[must_use]
    pub fn record(&self) -> Request<'a> {
        let row = self.row;
        let (client_ip, client_port) = end(&row.flow, row.client);
        let (server_ip, server_port) = end(&row.flow, 1 - row.client);
        let seen = |time: Timestamp| (time != Timestamp::MIN).then_some(time);
        let t0 = row.times.first_request;
        let t1 = seen(row.times.last_request);
        let t2 = seen(row.times.first_response);
        let is_early =
            row.vantage.sees_packets() && t2.is_some_and(|t2| t1.is_none_or(|t1| t2 < t1));
        // A response that was cut off has no last byte.
        let is_answered = row.is_whole();
        let t3 = seen(row.times.last_response).filter(|_| is_answered);
        let t4 = seen(row.times.acknowledged).filter(|_| is_answered);
        let all = row.budget();
        let budget = |n: usize| all.map(|budget| Span::from_ns(budget[n]));
        let (status_text, answers) = self.answered();
        let in_file = |frame: u64| (frame > 0 && row.vantage == Vantage::File).then_some(frame);
        Request {
            time: t0,
            vantage: row.vantage,
            connection_id: row.connection_id,
            client_ip,
            client_port: u64::from(client_port),
            server_ip,
            server_port: u64::from(server_port),
            role_from: row.role_from,
            direction: row.direction,
            tap_side: row.tap_side,
            vlan: (row.vlan != 0).then_some(u64::from(row.vlan)),
            tunnel: row.tunnel,
            capture_loss: row.capture_loss,
            protocol: row.protocol,
            operation: self.words(&row.operation),
            summary: self.words(&row.summary),
            status: row.status,
            status_code: row.status_code.map(u64::from),
            status_text,
            ended_by: row.ended_by,
            request_bytes: row.request_bytes,
            response_bytes: row.response_bytes,
            upload_us: between(Some(t0), t1),
            process_us: if is_early { None } else { between(t1, t2) },
            transfer_us: between(t2, t3),
            total_us: between(Some(t0), t3),
            delivered_us: between(Some(t0), t4),
            queued: u64::from(row.queued),
            task: row.task,
            retransmits: u64::from(row.retransmits),
            reordered: row.reordered,
            cut: row.cut,
            gap: row.gap,
            early: is_early,
            client_rtt_us: row.rtt[0].map(Span::from_ns),
            server_rtt_us: row.rtt[1].map(Span::from_ns),
            in_client_us: budget(0),
            in_queue_us: budget(1),
            in_server_us: budget(2),
            in_network_us: budget(3),
            in_loss_us: budget(4),
            in_window_us: budget(5),
            in_transfer_us: budget(6),
            verdict: all.map(verdict),
            request_frame: in_file(row.frames[0]),
            response_frame: in_file(row.frames[1]),
            window_limit_bytes: row.window_limit(),
            owner: self.extra.map(|extra| &extra.owner),
            path: self.extra.map(|extra| &extra.path),
            marks: self.extra.map(|extra| &extra.marks),
            answers,
        }
    }

    /// The status text, and the addresses that a name server answered.
    fn answered(&self) -> (Option<&'a str>, Option<&'a str>) {
        let text = self.words(&self.row.status_text);
        let both = match self.row.protocol {
            Protocol::Dns => text.and_then(|text| text.split_once(ANSWERS_BEGIN)),
            _ => None,
        };
        match both {
            Some((text, answers)) => (Some(text), Some(answers)),
            None => (text, None),
        }
    }

    fn words(&self, range: &Range<u32>) -> Option<&'a str> {
        let bytes = self.words.get(range.start as usize..range.end as usize)?;
        // Words are made of whole letters (`proto::Texts`).
        std::str::from_utf8(bytes)
            .ok()
            .filter(|text| !text.is_empty())
    }
}

fn between(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<Span> {
    to?.since(from?)
}

/// The largest; of equals the first.
fn verdict(budget: [u64; 7]) -> Verdict {
    // Chosen without branches: which is the largest cannot be predicted.
    let (mut at, mut most) = (0, 0);
    for (n, ns) in budget.into_iter().enumerate() {
        at = if ns > most { n } else { at };
        most = most.max(ns);
    }
    Verdict::ALL[at]
}
