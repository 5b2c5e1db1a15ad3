//! Several rings, one for each thread, that share the packets: both directions of a flow come to one ring
//! (PACKET_FANOUT_CBPF, packet(7)). Which, the kernel computes as `tcplens_core::share` does, so that a packet of which it
//! cannot tell can be handed on.
//!
//! TCP goes by addresses and ports. All else goes by the addresses of the outer header, which are the same for both
//! directions of a tunnel and for all fragments of a packet; what is neither IPv4 nor IPv6 to the kernel (a second VLAN
//! tag, PPPoE, MPLS) goes to the first.

use tcplens_core::filter::packet::{Instruction, op};
use tcplens_core::share::FACTOR;

use super::program::{jump, statement};

/// Loads from here on are relative to the network header (linux/filter.h, SKF_NET_OFF).
const NETWORK: u32 = (-0x10_0000_i32).cast_unsigned();
/// The protocol behind the link-layer header (SKF_AD_OFF + SKF_AD_PROTOCOL).
const PROTOCOL: u32 = (-0x1000_i32).cast_unsigned();
const IPV4: u32 = 0x0800;
const IPV6: u32 = 0x86dd;
const TCP: u32 = 6;
/// BPF_RET + BPF_A: not among the evaluator's.
const RET_A: u16 = 0x16;

/// The program. What it returns is divided by the number of rings, the rest says which.
pub(super) fn program() -> Vec<Instruction> {
    let ipv4 = ipv4();
    let ipv6 = ipv6();
    let skip = |part: &[Instruction]| u8::try_from(part.len()).unwrap_or(u8::MAX);
    let mut all = vec![
        statement(op::LD_ABS_W, PROTOCOL),
        jump(op::JEQ_K, IPV4, 0, skip(&ipv4)),
    ];
    all.extend(&ipv4);
    all.push(jump(op::JEQ_K, IPV6, 0, skip(&ipv6)));
    all.extend(ipv6);
    all.push(statement(op::RET_K, 0));
    all
}

/// Memory words: what the addresses come to, and one port.
const ADDRESSES: u32 = 0;
const PORT: u32 = 1;

fn ipv4() -> Vec<Instruction> {
    let mut part = xor_of(&[12, 16]);
    part.extend([
        statement(op::LD_ABS_B, NETWORK + 9),
        // Not TCP: to the end, past all below but the mixing.
        jump(op::JEQ_K, TCP, 0, 12),
        // A fragment, the first one too.
        statement(op::LD_ABS_H, NETWORK + 6),
        jump(op::JSET_K, 0x3fff, 10, 0),
        statement(op::LD_ABS_B, NETWORK),
        statement(op::ALU_AND_K, 0xf),
        statement(op::ALU_LSH_K, 2),
        statement(op::TAX, 0),
    ]);
    part.extend(ports(op::LD_IND_H, NETWORK));
    part.extend(mix());
    part
}

fn ipv6() -> Vec<Instruction> {
    let mut part = xor_of(&[8, 12, 16, 20, 24, 28, 32, 36]);
    part.extend([
        statement(op::LD_ABS_B, NETWORK + 6),
        jump(op::JEQ_K, TCP, 0, 6),
    ]);
    part.extend(ports(op::LD_ABS_H, NETWORK + 40));
    part.extend(mix());
    part
}

/// Memory word ADDRESSES: the words at these places of the network header, each in turn.
fn xor_of(places: &[u32]) -> Vec<Instruction> {
    let mut part = vec![statement(op::LD_IMM, 0), statement(op::TAX, 0)];
    for place in places {
        part.extend([
            statement(op::LD_ABS_W, NETWORK + place),
            statement(op::ALU_XOR_X, 0),
            statement(op::TAX, 0),
        ]);
    }
    part.push(statement(op::STX, ADDRESSES));
    // The ports, where there are none.
    part.push(statement(op::LDX_IMM, 0));
    part
}

/// Both ports, whose first is at `place`, added to ADDRESSES. Six instructions; X tells where, if `load` asks it.
fn ports(load: u16, place: u32) -> [Instruction; 6] {
    // The order keeps X as it is until the second port is there.
    [
        statement(load, place),
        statement(op::ST, PORT),
        statement(load, place + 2),
        statement(op::LDX_MEM, PORT),
        statement(op::ALU_XOR_X, 0),
        // Behind it X is the ports, where there are any.
        statement(op::TAX, 0),
    ]
}

fn mix() -> [Instruction; 5] {
    [
        statement(op::LD_MEM, ADDRESSES),
        statement(op::ALU_XOR_X, 0),
        statement(op::ALU_MUL_K, FACTOR),
        statement(op::ALU_RSH_K, 16),
        statement(RET_A, 0),
    ]
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;
    use tcplens_core::share::owner;
    use tcplens_core::wire::segment::FlowKey;

    use super::*;

    /// What the kernel makes of a packet: `bytes` from its network header on.
    fn run(program: &[Instruction], protocol: u32, bytes: &[u8]) -> u32 {
        let (mut a, mut x, mut pc, mut memory) = (0_u32, 0_u32, 0, [None; 16]);
        let load = |at: u32, size: usize| {
            let at = at.wrapping_sub(NETWORK) as usize;
            let bytes = bytes.get(at..at + size)?;
            Some(bytes.iter().fold(0, |n, byte| n << 8 | u32::from(*byte)))
        };
        loop {
            let i: Instruction = program[pc];
            pc += 1;
            let loaded = match i.code {
                op::LD_ABS_W if i.k == PROTOCOL => Some(protocol),
                op::LD_ABS_W => load(i.k, 4),
                op::LD_ABS_H => load(i.k, 2),
                op::LD_ABS_B => load(i.k, 1),
                op::LD_IND_H => load(i.k.wrapping_add(x), 2),
                op::LD_IMM => Some(i.k),
                op::LD_MEM => Some(memory[i.k as usize].unwrap()),
                op::ALU_AND_K => Some(a & i.k),
                op::ALU_LSH_K => Some(a << i.k),
                op::ALU_RSH_K => Some(a >> i.k),
                op::ALU_MUL_K => Some(a.wrapping_mul(i.k)),
                op::ALU_XOR_X => Some(a ^ x),
                _ => Some(a),
            };
            // A load outside ends the program.
            let Some(loaded) = loaded else { return 0 };
            a = loaded;
            match i.code {
                op::TAX => x = a,
                op::LDX_IMM => x = i.k,
                op::LDX_MEM => x = memory[i.k as usize].unwrap(),
                op::ST => memory[i.k as usize] = Some(a),
                op::STX => memory[i.k as usize] = Some(x),
                op::JEQ_K => pc += usize::from(if a == i.k { i.jt } else { i.jf }),
                op::JSET_K => pc += usize::from(if a & i.k != 0 { i.jt } else { i.jf }),
                op::RET_K => return i.k,
                RET_A => return a,
                _ => {}
            }
        }
    }

    fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x46, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
        bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
        bytes.extend(from.octets());
        bytes.extend(to.octets());
        bytes.extend([1, 1, 1, 1]);
        bytes.extend(rest);
        bytes
    }

    fn ipv6(from: Ipv6Addr, to: Ipv6Addr, next: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0, 20, next, 64];
        bytes.extend(from.octets());
        bytes.extend(to.octets());
        bytes.extend(rest);
        bytes
    }

    fn words(address: IpAddr) -> [u64; 2] {
        let bits = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        [(bits >> 64) as u64, bits as u64]
    }

    fn key(a: IpAddr, b: IpAddr, ports: [u16; 2]) -> FlowKey {
        FlowKey {
            low: words(a),
            high: words(b),
            ports,
            context: 0,
        }
    }

    proptest! {
        #[test]
        fn the_kernel_and_we_agree_whose_a_segment_is(
            a4: u32, b4: u32, a6: u128, b6: u128, from: u16, to: u16, threads in 1_usize..9
        ) {
            let program = program();
            let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
            let back = [to.to_be_bytes(), from.to_be_bytes()].concat();
            let (a, b) = (Ipv4Addr::from_bits(a4), Ipv4Addr::from_bits(b4));
            let whose = owner(&key(a.into(), b.into(), [from, to]), threads);
            for bytes in [ipv4(a, b, 6, 0x4000, &ports), ipv4(b, a, 6, 0, &back)] {
                prop_assert_eq!(run(&program, IPV4, &bytes) as usize % threads, whose);
            }
            let (a, b) = (Ipv6Addr::from_bits(a6), Ipv6Addr::from_bits(b6));
            // The kernel knows no mapped addresses: they are not on the wire.
            prop_assume!(a.to_ipv4_mapped().is_none() && b.to_ipv4_mapped().is_none());
            let whose = owner(&key(a.into(), b.into(), [from, to]), threads);
            for bytes in [ipv6(a, b, 6, &ports), ipv6(b, a, 6, &back)] {
                prop_assert_eq!(run(&program, IPV6, &bytes) as usize % threads, whose);
            }
        }
    }

    #[test]
    fn both_directions_of_everything_come_to_one() {
        let program = program();
        let (a, b) = ([10, 0, 0, 1].into(), [192, 168, 3, 4].into());
        let ports = [0x12, 0x34, 0x56, 0x78];
        let of = |bytes: &[u8]| run(&program, IPV4, bytes);
        let udp = of(&ipv4(a, b, 17, 0, &ports));
        // A tunnel: the ports of its two directions have nothing in common.
        assert_eq!(udp, of(&ipv4(b, a, 17, 0, &[9, 9, 0x12, 0xb5])));
        // All fragments of a TCP segment, the first among them.
        let first = of(&ipv4(a, b, 6, 0x2000, &ports));
        assert_eq!(first, of(&ipv4(a, b, 6, 0x00b9, b"data")));
        assert_eq!(first, udp);
        let whole = of(&ipv4(a, b, 6, 0, &ports));
        assert_ne!(whole % 97, first % 97, "these have ports");
        // A packet cut in its header, and what is not IP.
        assert_eq!(of(&ipv4(a, b, 6, 0, &[1])), 0);
        assert_eq!(run(&program, 0x88a8, &ports), 0);
    }
}
