//! Sockets as people see them.

use std::net::IpAddr;

use tcplens_core::record::*;
use tcplens_core::time::{Span, Timestamp};
use tcplens_output::text::{SocketKey, SocketOrder, SocketText, SocketTotal};
use tcplens_output::time_style::{TimeFormat, TimeStyle};
use tcplens_output::values::{Values, position};
use tcplens_output::{Csv, Fields, Jsonl};

const MS: u64 = 1_000_000;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A connection of a web server that nothing is wrong with.
fn socket(remote: &str, remote_port: u64) -> Socket<'static> {
    Socket {
        time: Timestamp(1_795_223_302_384_589_048),
        vantage: Vantage::Socket,
        connection_id: None,
        uuid: None,
        sequence: None,
        first_seen: None,
        socket_cookie: Some(4103),
        netns: Some(4_026_531_840),
        state: Some(SocketState::Established),
        client_ip: Some(ip(remote)),
        client_port: Some(remote_port),
        server_ip: Some(ip("10.0.0.7")),
        server_port: Some(443),
        role_from: Some(RoleFrom::Socket),
        local_ip: ip("10.0.0.7"),
        local_port: 443,
        remote_ip: Some(ip(remote)),
        remote_port: Some(remote_port),
        family: Some(SocketFamily::Ipv4),
        interface: None,
        ifindex: None,
        pid: Some(4242),
        comm: Some("nginx"),
        uid: Some(33),
        inode: Some(81_234),
        cgroup: Some("/system.slice/nginx.service"),
        cgroup_id: Some(5120),
        container_id: None,
        is_final: false,
        close: None,
        duration_us: None,
        interval_us: None,
        send_rate: None,
        receive_rate: None,
        retransmit_rate: None,
        timer: None,
        timer_us: None,
        timer_retransmits: 0,
        rqueue_bytes: Some(0),
        wqueue_bytes: Some(0),
        accept_queue: None,
        accept_queue_max: None,
        shutdown: Some(SocketShutdown::None),
        tcp: Some(Box::new(TcpStatistics {
            tcp_info_bytes: Some(280),
            tcp_state: Some(1),
            ca_state: Some(CaState::Open),
            retransmits: Some(0),
            sack: Some(true),
            ecn: Some(false),
            rto_us: Some(Span::from_ns(204 * MS)),
            snd_mss: Some(1448),
            unacked: Some(0),
            lost: Some(0),
            retrans: Some(0),
            last_data_sent_us: Some(Span::from_ns(1200 * MS)),
            last_data_recv_us: Some(Span::from_ns(40 * MS)),
            rtt_us: Some(Span::from_ns(12_300_000)),
            min_rtt_us: Some(Span::from_ns(850_000)),
            snd_cwnd: Some(10),
            total_retrans: Some(0),
            notsent_bytes: Some(0),
            bytes_sent: Some(1_500_000),
            pacing_rate: Some(2_500_000),
            delivery_rate: Some(1_250_000),
            delivery_rate_app_limited: Some(true),
            busy_time_us: Some(Span::from_ns(500 * MS)),
            rwnd_limited_us: Some(Span::from_ns(0)),
            sndbuf_limited_us: Some(Span::from_ns(0)),
            ..TcpStatistics::default()
        })),
        congestion: Some("cubic"),
        algorithm: None,
        memory: Some(Box::new(SocketMemory {
            skmem_rcvbuf: Some(131_072),
            skmem_drops: Some(3),
            ..SocketMemory::default()
        })),
        options: None,
        tcp_info_tail: None,
        unknown_attributes: None,
    }
}

fn tcp<'a>(socket: &'a mut Socket<'static>) -> &'a mut TcpStatistics {
    socket.tcp.get_or_insert_default()
}

/// One that loses, one that does not read, one whose peer does not, a listener, and what is left of one.
fn troubled() -> Vec<Socket<'static>> {
    let mut lossy = socket("198.51.100.77", 50001);
    *tcp(&mut lossy) = TcpStatistics {
        retrans: Some(2),
        lost: Some(1),
        retransmits: Some(1),
        total_retrans: Some(1234),
        unacked: Some(7),
        ..*tcp(&mut lossy)
    };
    lossy.wqueue_bytes = Some(10_136);
    let mut unread = socket("10.0.0.9", 40002);
    unread.state = Some(SocketState::CloseWait);
    unread.rqueue_bytes = Some(65_536);
    let mut window = socket("2001:db8::17", 40003);
    tcp(&mut window).rwnd_limited_us = Some(Span::from_ns(225 * MS));
    tcp(&mut window).notsent_bytes = Some(400_000);
    window.wqueue_bytes = Some(410_136);
    (window.pid, window.comm) = (None, None);
    let listener = Socket {
        state: Some(SocketState::Listen),
        local_ip: ip("::"),
        remote_ip: None,
        remote_port: None,
        accept_queue: Some(3),
        accept_queue_max: Some(511),
        rqueue_bytes: None,
        wqueue_bytes: None,
        ..socket("0.0.0.0", 0)
    };
    let left = Socket {
        state: Some(SocketState::TimeWait),
        tcp: None,
        memory: None,
        pid: None,
        comm: None,
        inode: None,
        rqueue_bytes: None,
        wqueue_bytes: None,
        ..socket("192.0.2.1", 60000)
    };
    vec![
        socket("192.0.2.34", 51000),
        left,
        listener,
        window,
        unread,
        lossy,
    ]
}

fn table(sockets: &[Socket<'_>], width: usize, is_extended: bool) -> String {
    let mut text = SocketText::new(is_extended, false);
    for socket in sockets {
        text.add(socket);
    }
    let mut out = Vec::new();
    text.print(Some(width), &mut out);
    String::from_utf8(out).expect("text")
}

#[test]
fn what_is_troubled_comes_first_and_the_columns_are_as_many_as_there_is_room_for() {
    let mut sockets = troubled();
    let (order, mut values) = (SocketOrder::Trouble, Values::default());
    sockets.sort_by_cached_key(|socket| Key(order, order.key(socket, &mut values)));
    let mut said = String::new();
    for width in [80, 120, 200] {
        let lines = table(&sockets, width, false);
        said += &format!("{width} columns:\n{lines}\n");
        let widest = lines.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width), "{lines}");
    }
    said += "with second lines:\n";
    said += &table(&sockets[..1], 100, true);
    assert_eq!(said, include_str!("text/sockets.txt"), "{said}");
}

struct Key(SocketOrder, SocketKey);

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Key {}
impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Key {
    fn cmp(&self, other: &Key) -> std::cmp::Ordering {
        self.0.compare(&self.1, &other.1)
    }
}

#[test]
fn sockets_are_sorted_by_any_field_and_those_without_it_are_last() {
    let mut values = Values::default();
    let mut sockets = troubled();
    for (n, socket) in sockets.iter_mut().enumerate() {
        if let Some(tcp) = &mut socket.tcp {
            tcp.rtt_us = (n != 2).then(|| Span::from_ns(((n as u64 * 7) % 5 + 1) * MS));
        }
    }
    for descending in [false, true] {
        let order = SocketOrder::Field {
            position: position::<Socket<'_>>("rtt_us").expect("a field"),
            descending,
        };
        sockets.sort_by_cached_key(|socket| Key(order, order.key(socket, &mut values)));
        let rtts: Vec<_> = sockets
            .iter()
            .map(|socket| socket.tcp.as_ref()?.rtt_us)
            .collect();
        let mut known: Vec<_> = rtts.iter().flatten().map(|rtt| rtt.ns()).collect();
        assert!(rtts[..4].iter().all(Option::is_some) && rtts[4..].iter().all(Option::is_none));
        if descending {
            known.reverse();
        }
        assert!(known.is_sorted(), "{known:?}");
    }
}

#[test]
fn the_total_names_states_and_troubles() {
    let mut total = SocketTotal::default();
    for socket in &troubled() {
        total.add(socket);
    }
    total.pace = Some((Span::from_ns(2 * MS), Span::from_ns(100 * MS)));
    let mut out = Vec::new();
    total.print(2, None, &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "6 sockets: 3 established, 1 time-wait, 1 close-wait, 1 listen; 1 retransmitting; 1 with 64 KiB unread; \
         1 with 391 KiB unsent; asked every 100 ms for 2 ms (2.0 % of a core); 2 more are not shown\n"
    );
}

#[test]
fn a_total_that_is_too_wide_goes_on_in_the_next_line() {
    let mut total = SocketTotal::default();
    for socket in &troubled() {
        total.add(socket);
    }
    let mut out = Vec::new();
    total.print(0, Some(80), &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "6 sockets: 3 established, 1 time-wait, 1 close-wait, 1 listen; 1 retransmitting;\n  \
         1 with 64 KiB unread; 1 with 391 KiB unsent\n"
    );
}

#[test]
fn nothing_is_printed_of_no_sockets() {
    assert_eq!(table(&[], 80, true), "");
}

#[test]
fn names_of_processes_send_no_escapes() {
    let mut evil = socket("192.0.2.34", 51000);
    evil.comm = Some("a\x1b[2J\nb");
    evil.cgroup = Some("/x\x1b[2J");
    let said = table(&[evil], 200, true);
    assert!(
        !said.contains('\x1b') && said.contains("a?[2J?b[4242]"),
        "{said}"
    );
}

fn fields(names: &[&str]) -> Fields {
    let positions = names
        .iter()
        .map(|name| position::<Socket<'_>>(name).expect(name));
    Fields::at(positions.collect())
}

#[test]
fn fields_that_are_asked_for_are_columns_in_their_order_and_what_is_absent_is_a_dash() {
    let names = [
        "remote_port",
        "rtt_us",
        "comm",
        "time",
        "inode",
        "interface",
        "rqueue_bytes",
    ];
    let time = TimeFormat::new(TimeStyle::Epoch);
    let mut text = SocketText::of_fields(fields(&names), time, false);
    text.add(&socket("192.0.2.1", 40_000));
    let mut small = socket("192.0.2.2", 7);
    small.comm = Some("a\x1b[2J");
    small.rqueue_bytes = Some(3000);
    text.add(&small);
    let mut out = Vec::new();
    text.print(Some(20), &mut out);
    assert_eq!(
        String::from_utf8_lossy(&out),
        "\
remote_port   rtt_us  comm   time               inode  interface  rqueue_bytes
      40000  12.3 ms  nginx  1795223302.384589  81234  -                   0 B
          7  12.3 ms  a?[2J  1795223302.384589  81234  -              2.93 KiB
"
    );
}

#[test]
fn csv_and_jsonl_have_the_fields_that_are_asked_for_and_the_kind() {
    let chosen = fields(&["remote_port", "interface", "rtt_us", "local_ip"]);
    let socket = socket("192.0.2.1", 40_000);
    let mut csv = Csv::new();
    csv.encode_fields(&socket, &chosen);
    csv.encode_fields(&socket, &chosen);
    let text = String::from_utf8_lossy(csv.bytes()).into_owned();
    let rtt = "12300";
    assert_eq!(
        text,
        format!(
            "kind,remote_port,interface,rtt_us,local_ip\n{0}{0}",
            format_args!("socket,40000,,{rtt},10.0.0.7\n")
        )
    );
    let mut jsonl = Jsonl::new();
    jsonl.encode_fields(&socket, &chosen);
    assert_eq!(
        String::from_utf8_lossy(jsonl.bytes()),
        format!(
            "{{\"kind\":\"socket\",\"remote_port\":40000,\"rtt_us\":{rtt},\"local_ip\":\"10.0.0.7\"}}\n"
        )
    );
}
