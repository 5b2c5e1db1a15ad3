//! What passes the kernel's filter is what the evaluator lets pass.

use tcplens_capture::file::{MergedSource, Options, Status};
use tcplens_core::packet::Batch;

use crate::frames;
use crate::namespace::Namespace;
use crate::place::Place;
use crate::tap::{Tap, alone, tcplens};
use crate::traffic::{Connection, datagram, pings, refused};

const EXPRESSIONS: &[&str] = &[
    "tcp",
    "tcp port 6379",
    "port 6380 or udp",
    "not tcp",
    "src host 10.9.0.1 and tcp[tcpflags] & tcp-syn != 0",
    "dst net 10.9.7.0/24",
    "vlan",
    "vlan 7 and tcp",
    "vlan 8",
    "not vlan",
    "tcp or (vlan and tcp)",
    "ether proto 0x8100",
    "ether broadcast or arp",
    "greater 1000",
    "less 70",
    "ip[2:2] > 100",
    "tcp[13] = 18",
    "inbound",
];

/// The packets of a file, whatever their times, in an order of their own.
fn packets(place: &Place, name: &str) -> Vec<Vec<u8>> {
    let mut packets = captured(place, name);
    packets.sort();
    packets
}

/// The packets of a file as they come.
pub(crate) fn captured(place: &Place, name: &str) -> Vec<Vec<u8>> {
    let mut source = MergedSource::open(&[place.path(name)], Options::default()).unwrap();
    let mut batch = Batch::default();
    let mut packets = Vec::new();
    while let Status::Packets = source.next_batch(&mut batch).unwrap() {
        let data = |packet| batch.data(packet).to_vec();
        packets.extend(batch.packets.iter().map(data));
    }
    packets
}

#[test]
fn what_passes_live_is_what_passes_from_a_file() {
    let Some((a, b)) = Namespace::pair() else {
        return;
    };
    let place = Place::new("filters");
    let live = |n: usize| format!("live{n}.pcap");
    let start = |(n, expression): (usize, &&str)| {
        let name = live(n);
        let words = ["records", "-i", "va", "-f", "none", "-w", &name, expression];
        Tap::start(tcplens(&a, &place, &words))
    };
    // What cannot be told from the packet alone is refused.
    let expressions: Vec<&str> = EXPRESSIONS
        .iter()
        .filter(|expression| **expression != "inbound")
        .copied()
        .collect();
    let all = ["records", "-i", "va", "-f", "none", "-w", "all.pcap"];
    let everything = Tap::start(tcplens(&a, &place, &all));
    let taps: Vec<Tap> = expressions.iter().enumerate().map(start).collect();
    pings(&a, &b, "10.9.0.2:6379", 3);
    pings(&b, &a, "10.9.0.1:6380", 3);
    refused(&a, "10.9.0.2:9");
    datagram(&b, &a, "10.9.0.1:5353");
    let mut large = Connection::open(&a, &b, "10.9.0.2:6379");
    large.upload(20_000);
    large.close();
    for vlan in [Some(7), Some(8), None] {
        if !frames::send(&b, "vb", &frames::connection(vlan, 40_000)) {
            return;
        }
    }
    everything.interrupt().is(0, &[]);
    assert!(packets(&place, "all.pcap").len() > 60);
    let (mut all_pass, mut some_pass) = (0, 0);
    for ((n, tap), expression) in taps.into_iter().enumerate().zip(&expressions) {
        let captured = tap.interrupt();
        captured.is(0, &[]);
        let words = [
            "records",
            "all.pcap",
            "-f",
            "none",
            "-w",
            "filtered.pcap",
            expression,
        ];
        let output = alone(&place, &words).output().unwrap();
        assert!(output.status.success(), "{expression}: {output:?}");
        let (live, filtered) = (packets(&place, &live(n)), packets(&place, "filtered.pcap"));
        assert_eq!(live, filtered, "{expression}");
        assert_eq!(captured.counted().0 as usize, live.len(), "{expression}");
        all_pass += usize::from(live.is_empty());
        some_pass += usize::from(!live.is_empty());
    }
    assert!(all_pass <= 2 && some_pass >= 12, "{all_pass} {some_pass}");
}
