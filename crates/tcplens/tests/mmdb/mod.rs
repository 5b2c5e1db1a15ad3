//! A writer of small databases in MaxMind's format, for tests (MaxMind DB file format specification 2.0): IPv6 trees with IPv4 at
//! `::/96`; texts that come again are pointers. Not for large ones, nor for networks within others: the last of these counts.

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
    database_of(24, networks)
}

/// The same with records of 24, 28 or 32 bits.
pub(crate) fn database_of(record_size: u16, networks: &[(&str, Value)]) -> Vec<u8> {
    // A node is two records: another node, what a network has, or nothing.
    #[derive(Clone, Copy)]
    enum To {
        Nothing,
        Node(usize),
        Data(usize),
    }
    let mut nodes = vec![[To::Nothing; 2]];
    let mut data = Vec::new();
    let mut texts = Vec::new();
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
        write(value, &mut data, &mut Some(&mut texts));
    }
    let mut out = Vec::new();
    let number = |to: &To| {
        let number = match to {
            To::Nothing => nodes.len(),
            To::Node(next) => *next,
            // Behind the tree are 16 bytes that are nothing.
            To::Data(at) => nodes.len() + 16 + at,
        };
        u32::try_from(number).unwrap().to_be_bytes()
    };
    for [left, right] in &nodes {
        let (left, right) = (number(left), number(right));
        match record_size {
            24 => out.extend([&left[1..], &right[1..]].concat()),
            28 => out.extend([&left[1..], &[left[0] << 4 | right[0]], &right[1..]].concat()),
            _ => out.extend([left, right].concat()),
        }
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let count = u32::try_from(nodes.len()).unwrap();
    let metadata = map(&[
        ("node_count", Value::Number(count)),
        ("record_size", Value::Short(record_size)),
        ("ip_version", Value::Short(6)),
        ("database_type", Value::Text("Test".to_owned())),
        ("languages", Value::Empty),
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_795_219_200)),
        ("description", Value::Map(Vec::new())),
    ]);
    write(&metadata, &mut out, &mut None);
    out
}

/// Texts that were written, and where they are.
type Texts<'t> = Option<&'t mut Vec<(String, usize)>>;

fn write(value: &Value, out: &mut Vec<u8>, texts: &mut Texts<'_>) {
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
            if let Some(texts) = texts {
                if let Some((_, at)) = texts.iter().find(|(known, _)| known == text) {
                    pointer(*at, out);
                    return;
                }
                texts.push((text.clone(), out.len()));
            }
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
                write(&Value::Text(key.clone()), out, texts);
                write(value, out, texts);
            }
        }
    }
}

/// To a value at an offset of the section: of 11, 19, 27 or 32 bits.
fn pointer(at: usize, out: &mut Vec<u8>) {
    let at = u32::try_from(at).unwrap();
    let bytes = |at: u32| at.to_be_bytes();
    match at {
        0..2048 => out.extend([0x20 | bytes(at)[2], bytes(at)[3]]),
        2048..526_336 => {
            let [_, high, middle, low] = bytes(at - 2048);
            out.extend([0x28 | high, middle, low]);
        }
        _ => out.extend([&[0x38][..], &bytes(at)].concat()),
    }
}
