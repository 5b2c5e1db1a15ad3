//! A writer of small databases in MaxMind's format, for tests (MaxMind DB file format specification 2.0): IPv6 trees of 24-bit
//! records, with IPv4 at `::/96`. Not for large ones, nor for networks within others: the first of these counts.

use std::net::IpAddr;

/// A value of the data section.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text.
    Text(String),
    /// Unsigned numbers of 16, 32 and 64 bits.
    Short(u16),
    Number(u32),
    Long(u64),
    /// A list without anything in it.
    Empty,
    /// A map.
    Map(Vec<(String, Value)>),
}

/// A map of these.
pub(crate) fn map(pairs: &[(&str, Value)]) -> Value {
    let pairs = pairs.iter();
    Value::Map(
        pairs
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

/// A database with these networks, such as `10.0.0.0/8`.
pub(crate) fn database(networks: &[(&str, Value)]) -> Vec<u8> {
    // A node is two records: another node, what a network has, or nothing.
    #[derive(Clone, Copy)]
    enum To {
        Nothing,
        Node(usize),
        Data(usize),
    }
    let mut nodes = vec![[To::Nothing; 2]];
    let mut data = Vec::new();
    for (network, value) in networks {
        let (ip, bits) = network.split_once('/').unwrap();
        let length: u32 = bits.parse().unwrap();
        let (bits, length) = match ip.parse().unwrap() {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()), length + 96),
            IpAddr::V6(ip) => (ip.to_bits(), length),
        };
        let mut node = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                nodes[node][side] = To::Data(data.len());
                break;
            }
            node = match nodes[node][side] {
                To::Node(next) => next,
                _ => {
                    nodes.push([To::Nothing; 2]);
                    let next = nodes.len() - 1;
                    nodes[node][side] = To::Node(next);
                    next
                }
            };
        }
        write(value, &mut data);
    }
    let mut out = Vec::new();
    for to in nodes.iter().flatten() {
        let number = match to {
            To::Nothing => nodes.len(),
            To::Node(next) => *next,
            // Behind the tree are 16 bytes that are nothing.
            To::Data(at) => nodes.len() + 16 + at,
        };
        out.extend_from_slice(&u32::try_from(number).unwrap().to_be_bytes()[1..]);
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let count = u32::try_from(nodes.len()).unwrap();
    let metadata = map(&[
        ("node_count", Value::Number(count)),
        ("record_size", Value::Short(24)),
        ("ip_version", Value::Short(6)),
        ("database_type", Value::Text("Test".to_owned())),
        ("languages", Value::Empty),
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_795_219_200)),
        ("description", Value::Map(Vec::new())),
    ]);
    write(&metadata, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    // Three bits of type, five of size; 29 and 30 are followed by one and two bytes of it.
    let control = |kind: u8, size: usize, out: &mut Vec<u8>| match size {
        0..29 => out.push(kind << 5 | size as u8),
        29..285 => out.extend([kind << 5 | 29, (size - 29) as u8]),
        _ => {
            out.push(kind << 5 | 30);
            out.extend(((size - 285) as u16).to_be_bytes());
        }
    };
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Short(number) => {
            control(5, 2, out);
            out.extend(number.to_be_bytes());
        }
        // Extended types, 7 and 2, 7 and 4.
        Value::Long(number) => {
            out.extend([8, 2]);
            out.extend(number.to_be_bytes());
        }
        Value::Empty => out.extend([0, 4]),
        Value::Number(number) => {
            control(6, 4, out);
            out.extend(number.to_be_bytes());
        }
        Value::Map(pairs) => {
            control(7, pairs.len(), out);
            for (key, value) in pairs {
                write(&Value::Text(key.clone()), out);
                write(value, out);
            }
        }
    }
}
