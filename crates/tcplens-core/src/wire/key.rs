//! Making flow keys, and hashing them. Not a table.
//!
//! The hash is keyed, for who sends the packets chooses the ports: with a random key, flows that collide cannot be
//! prepared. It folds 128-bit products (as wyhash does), which measured twice as fast as SipHash.

use super::segment::{FlowKey, Segment, v4_words};

/// The secret of a keyed hash, made from a seed.
#[derive(Clone, Copy, Debug)]
pub struct HashKey {
    secret: [u64; 5],
}

impl HashKey {
    /// The same seed gives the same hashes; live sources take a random one, files a fixed one.
    #[must_use]
    pub fn new(seed: u64) -> HashKey {
        // splitmix64 (Steele, Lea, Flood 2014): any seed, 0 too, gives five unrelated words.
        let mut state = seed;
        let secret: [u64; 5] = std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        });
        HashKey { secret }
    }

    /// The hash of the two ends of a flow key; its top bits are as good as its low ones. The context is left out: the
    /// directions of a connection may be in different VLANs, and yet belong to one shard.
    #[inline]
    #[must_use]
    pub fn hash(&self, flow: &FlowKey) -> u64 {
        let is_v4 = |words: [u64; 2]| words[0] == 0 && words[1] >> 32 == 0xffff;
        if !is_v4(flow.low) || !is_v4(flow.high) {
            return finish(self.fold_wide(flow));
        }
        // Without their prefix: the casts keep the addresses.
        let end = |words: [u64; 2], port| v4_end(words[1] as u32, port);
        self.hash_v4(end(flow.low, flow.ports[0]), end(flow.high, flow.ports[1]))
    }

    /// The same of two ends that are [`v4_end`]s, and so fit into one product.
    #[inline(always)]
    fn hash_v4(&self, low: u64, high: u64) -> u64 {
        finish(fold(low ^ self.secret[0], high ^ self.secret[1]))
    }

    fn fold_wide(&self, flow: &FlowKey) -> u64 {
        let [a, b, c, d, e] = self.secret;
        let prefixes = fold(flow.low[0] ^ a, flow.high[0] ^ b);
        let hosts = fold(flow.low[1] ^ c, flow.high[1] ^ d);
        let ports = u64::from(flow.ports[0]) << 16 | u64::from(flow.ports[1]);
        fold(ports ^ prefixes ^ e, hosts ^ b)
    }

    /// 32 bits that name a flow: of its ends and its context.
    #[must_use]
    pub fn name(&self, flow: &FlowKey) -> u32 {
        let name = fold(
            self.fold_wide(flow) ^ u64::from(flow.context),
            self.secret[4] | 1,
        );
        // The cast keeps the low half.
        name as u32
    }
}

/// Lets every bit have a part in every other: of ends that differ in few bits, some bits of one product hardly differ, with some
/// keys.
#[inline(always)]
fn finish(folded: u64) -> u64 {
    let product = u128::from(folded) * 0x9e37_79b9_7f4a_7c15;
    // Both halves are wanted: the cast keeps the low one.
    (product >> 64) as u64 ^ product as u64
}

/// An IPv4 address and a port in one word.
#[inline(always)]
fn v4_end(address: u32, port: u16) -> u64 {
    u64::from(address) << 16 | u64::from(port)
}

/// The two halves of the 128-bit product, folded.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    // Both halves are wanted: the cast keeps the low one. The factors go in once more, for who knows the secret can
    // make one of them 0, and with it every product.
    ((product >> 64) as u64 ^ product as u64) ^ a.rotate_left(32) ^ b
}

/// What distinguishes two equal tuples: VLAN ids and tunnels on the way to the innermost IP header. 0 outside them.
pub(super) mod context {
    const VLAN: u32 = 0x1000_0000;
    const TUNNEL: u32 = 0x2000_0000;
    const NETWORK: u32 = 0x3000_0000;

    /// Goes into a VLAN. Id 0 is a priority tag, no VLAN (IEEE 802.1Q clause 6.9.1): a host may set it in one direction only.
    #[inline]
    pub(in crate::wire) fn vlan(outer: u32, id: u16) -> u32 {
        if id == 0 {
            outer
        } else {
            enter(outer, VLAN | u32::from(id))
        }
    }

    /// Goes into a tunnel.
    pub(in crate::wire) fn tunnel(outer: u32, kind: super::super::segment::Tunnel) -> u32 {
        enter(outer, TUNNEL | kind as u32)
    }

    /// Goes into a virtual network (24-bit VNI) of the tunnel; both directions have the same.
    pub(in crate::wire) fn network(outer: u32, vni: u32) -> u32 {
        enter(outer, NETWORK | vni & 0xff_ffff)
    }

    /// For a given `what`, different outer contexts stay different; 0 is kept for "none".
    #[inline]
    fn enter(outer: u32, what: u32) -> u32 {
        (outer.rotate_left(5) ^ what)
            .wrapping_mul(0x9e37_79b1)
            .max(1)
    }
}

/// What addresses and ports say of a segment: see the fields of [`Segment`].
pub(super) struct Ends {
    pub(super) flow: FlowKey,
    pub(super) hash: u64,
    pub(super) from: u8,
}

/// Key, hash and direction of a segment between IPv4 addresses.
#[inline(always)]
pub(super) fn ends_v4(key: &HashKey, from: (u32, u16), to: (u32, u16), context: u32) -> Ends {
    // In one word each, minimum and maximum need no branch: which end sends cannot be predicted.
    // Both fit, which the optimizer sees.
    let address = |end: u64| v4_words(u32::try_from(end >> 16).unwrap_or_default());
    let port = |end: u64| u16::try_from(end & 0xffff).unwrap_or_default();
    let unpack = |end: u64| (address(end), port(end));
    let (from, to) = (v4_end(from.0, from.1), v4_end(to.0, to.1));
    let ends = (from.min(to), from.max(to));
    let (low, high) = (unpack(ends.0), unpack(ends.1));
    Ends {
        flow: FlowKey {
            low: low.0,
            high: high.0,
            ports: [low.1, high.1],
            context,
        },
        hash: key.hash_v4(ends.0, ends.1),
        from: u8::from(from > to),
    }
}

/// Fills key, hash and direction of a segment between IPv4 addresses.
#[inline(always)]
pub(super) fn fill_v4(
    out: &mut Segment,
    key: &HashKey,
    from: (u32, u16),
    to: (u32, u16),
    context: u32,
) {
    let ends = ends_v4(key, from, to, context);
    out.flow = ends.flow;
    out.hash = ends.hash;
    out.from = ends.from;
}

/// Fills key, hash and direction of a segment between addresses in the form of [`FlowKey`].
#[inline(always)]
pub(super) fn fill(
    out: &mut Segment,
    key: &HashKey,
    from: ([u64; 2], u16),
    to: ([u64; 2], u16),
    context: u32,
) {
    let wide = |words: [u64; 2]| u128::from(words[0]) << 64 | u128::from(words[1]);
    let (from_address, to_address) = (wide(from.0), wide(to.0));
    let reversed = (from_address > to_address) | ((from_address == to_address) & (from.1 > to.1));
    // Exchanged without a branch, for the same reason: all bits of the mask are set if the ends change places.
    let mask = 0_u64.wrapping_sub(u64::from(reversed));
    let exchange = |a: u64, b: u64| {
        let changes = (a ^ b) & mask;
        (a ^ changes, b ^ changes)
    };
    let (low_0, high_0) = exchange(from.0[0], to.0[0]);
    let (low_1, high_1) = exchange(from.0[1], to.0[1]);
    let ports = if reversed {
        [to.1, from.1]
    } else {
        [from.1, to.1]
    };
    out.flow = FlowKey {
        low: [low_0, low_1],
        high: [high_0, high_1],
        ports,
        context,
    };
    out.hash = key.hash(&out.flow);
    out.from = u8::from(reversed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key_and_one_hash() {
        let key = HashKey::new(7);
        let (mut there, mut back) = (Segment::default(), Segment::default());
        fill_v4(&mut there, &key, (0x0a00_0001, 40000), (0x0a00_0002, 80), 0);
        fill_v4(&mut back, &key, (0x0a00_0002, 80), (0x0a00_0001, 40000), 0);
        assert_eq!((there.flow, there.hash), (back.flow, back.hash));
        assert_eq!((there.from, back.from), (0, 1));
        let mut wide = Segment::default();
        fill(
            &mut wide,
            &key,
            (v4_words(0x0a00_0001), 40000),
            (v4_words(0x0a00_0002), 80),
            0,
        );
        assert_eq!(wide, there);
    }

    #[test]
    fn an_end_talking_to_itself_is_the_lower_end() {
        let mut out = Segment {
            from: 1,
            ..Segment::default()
        };
        fill_v4(&mut out, &HashKey::new(0), (1, 1), (1, 1), 0);
        assert_eq!(out.from, 0);
    }

    /// Chi-square of what comes into 64 classes, each as often as any other: 63 is expected.
    fn chi_square(classes: &[u32; 64]) -> f64 {
        let expected = f64::from(classes.iter().sum::<u32>()) / 64.0;
        let differences = classes.iter().map(|&n| f64::from(n) - expected);
        differences
            .map(|difference| difference * difference)
            .sum::<f64>()
            / expected
    }

    #[test]
    fn flows_that_differ_little_are_spread_over_shards_and_slots_with_any_key() {
        type Make = fn(u32) -> ((u32, u16), (u32, u16));
        let sets: [(&str, Make); 5] = [
            ("hosts", |n| ((0x0a00_0002, 80), (0xc633_6401 + n, 40_000))),
            ("networks", |n| {
                ((0x0a00_0002, 80), (0xc000_0001 + (n << 8), 40_000))
            }),
            ("servers", |n| {
                ((0x0a00_0002 + n, 80), (0xc633_6401, 40_000))
            }),
            ("ports", |n| {
                ((0x0a00_0002, 80), (0xc633_6401, 20_000 + n as u16))
            }),
            ("every other port", |n| {
                ((0x0a00_0002, 80), (0xc633_6401, 20_000 + 2 * n as u16))
            }),
        ];
        // Fewer than one of a million classes is so uneven by chance (8 standard deviations).
        let most = 63.0 + 8.0 * f64::sqrt(126.0);
        for seed in 0..100 {
            let key = HashKey::new(seed);
            for (name, ends) in sets {
                // Shard, slot in the smallest table, further bits of larger ones, tag.
                let mut classes = [[0_u32; 64]; 4];
                let mut wide = classes;
                for n in 0..2048 {
                    let (from, to) = ends(n);
                    let mut out = Segment::default();
                    fill_v4(&mut out, &key, from, to, 0);
                    assert_eq!(key.hash(&out.flow), out.hash, "made either way");
                    let mut ipv6 = out.flow;
                    ipv6.low[0] = 0x2001_0db8 << 32;
                    for (classes, hash) in [(&mut classes, out.hash), (&mut wide, key.hash(&ipv6))]
                    {
                        for (classes, bit) in classes.iter_mut().zip([58, 0, 6, 24]) {
                            classes[(hash >> bit & 63) as usize] += 1;
                        }
                    }
                }
                for classes in classes.iter().chain(&wide) {
                    let chi_square = chi_square(classes);
                    assert!(chi_square < most, "{name}, seed {seed}: {chi_square}");
                }
            }
        }
    }

    #[test]
    fn contexts_tell_vlan_stacks_and_networks_apart_and_ignore_priority_tags() {
        use super::super::segment::Tunnel;
        assert_eq!(context::vlan(0, 0), 0);
        let one_two = context::vlan(context::vlan(0, 1), 2);
        let two_one = context::vlan(context::vlan(0, 2), 1);
        assert_ne!(one_two, two_one);
        let vxlan = context::tunnel(0, Tunnel::Vxlan);
        assert_ne!(context::network(vxlan, 1), context::network(vxlan, 2));
        assert_ne!(vxlan, context::tunnel(0, Tunnel::Geneve));
    }
}
