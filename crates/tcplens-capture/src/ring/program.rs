//! The program that the kernel runs on each packet before it is stored: classic BPF (linux/filter.h), a few instructions
//! about where the packet comes from, then the filter as compiled for Ethernet.
//!
//! The kernel's view of a packet differs from ours where it has put a VLAN tag aside, and where an interface has no
//! Ethernet header. Such packets pass undecided and are decided about as they are handed out: so the verdict is always
//! that of the evaluator.

use tcplens_core::filter::packet::{Instruction, op};

/// Values of linux/filter.h: loads from here on ask the kernel about the packet.
mod ask {
    const OFFSET: u32 = (-0x1000_i32).cast_unsigned();
    pub(super) const PACKET_TYPE: u32 = OFFSET + 4;
    pub(super) const INTERFACE: u32 = OFFSET + 8;
    pub(super) const HARDWARE_TYPE: u32 = OFFSET + 28;
    pub(super) const VLAN_TAG_PRESENT: u32 = OFFSET + 48;
}

/// linux/if_packet.h: sent by this host.
const OUTGOING: u32 = 4;
const LOOPBACK: u32 = 772;
const ETHERNET: u32 = 1;

/// Accepts nothing.
pub(super) fn nothing() -> Vec<Instruction> {
    vec![statement(op::RET_K, 0)]
}

/// Packets of these interfaces (all, if none is named) that pass the filter for Ethernet, cut to `snaplen`, or may pass it,
/// cut to `undecided`.
/// Of what is sent over the loopback interface, which shows each packet twice, only the copy that arrives.
pub(super) fn whole(
    interfaces: &[u32],
    filter: Option<&[Instruction]>,
    snaplen: u32,
    undecided: u32,
) -> Vec<Instruction> {
    let mut program = Vec::new();
    if !interfaces.is_empty() {
        program.push(statement(op::LD_ABS_W, ask::INTERFACE));
        for (n, index) in interfaces.iter().enumerate() {
            let behind = u8::try_from(interfaces.len() - n).unwrap_or(u8::MAX);
            program.push(jump(op::JEQ_K, *index, behind, 0));
        }
        program.push(statement(op::RET_K, 0));
    }
    program.extend([
        statement(op::LD_ABS_W, ask::HARDWARE_TYPE),
        jump(op::JEQ_K, LOOPBACK, 0, 3),
        statement(op::LD_ABS_W, ask::PACKET_TYPE),
        jump(op::JEQ_K, OUTGOING, 0, 5),
        statement(op::RET_K, 0),
        jump(op::JEQ_K, ETHERNET, 0, 2),
        statement(op::LD_ABS_W, ask::VLAN_TAG_PRESENT),
        jump(op::JEQ_K, 0, 1, 0),
        statement(op::RET_K, undecided),
    ]);
    match filter {
        None => program.push(statement(op::RET_K, snaplen)),
        Some(filter) => program.extend(filter.iter().map(|i| match i.code {
            op::RET_K if i.k != 0 => statement(op::RET_K, snaplen),
            _ => *i,
        })),
    }
    program
}

pub(super) fn statement(code: u16, k: u32) -> Instruction {
    jump(code, k, 0, 0)
}

pub(super) fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcplens_core::filter::packet::PacketFilter;
    use tcplens_core::packet::LinkType;

    /// What the kernel knows about a packet.
    struct About {
        interface: u32,
        hardware: u32,
        kind: u32,
        tag: u32,
    }

    /// Runs the part before the filter; `None`: it goes on to the filter, at `at`.
    fn run(program: &[Instruction], about: &About, at: usize) -> Option<u32> {
        let (mut a, mut pc) = (0, 0);
        while pc != at {
            let i = program[pc];
            pc += 1;
            match i.code {
                op::LD_ABS_W => {
                    a = match i.k {
                        ask::INTERFACE => about.interface,
                        ask::HARDWARE_TYPE => about.hardware,
                        ask::PACKET_TYPE => about.kind,
                        ask::VLAN_TAG_PRESENT => about.tag,
                        other => panic!("load of {other:#x}"),
                    }
                }
                op::JEQ_K => pc += usize::from(if a == i.k { i.jt } else { i.jf }),
                op::RET_K => return Some(i.k),
                other => panic!("code {other:#x}"),
            }
        }
        None
    }

    #[test]
    fn what_the_kernel_sees_as_we_do_goes_to_the_filter() {
        let filter = PacketFilter::parse("tcp port 80").unwrap();
        let filter = filter.compile(LinkType::ETHERNET).unwrap();
        for interfaces in [&[][..], &[7], &[3, 7, 9]] {
            let program = whole(interfaces, Some(filter.instructions()), 96, 999);
            let at = program.len() - filter.instructions().len();
            let of = |hardware, kind, tag| {
                let about = About {
                    interface: 7,
                    hardware,
                    kind,
                    tag,
                };
                run(&program, &about, at)
            };
            assert_eq!(of(1, 0, 0), None, "Ethernet");
            assert_eq!(of(1, OUTGOING, 0), None, "Ethernet, sent");
            assert_eq!(of(1, 0, 1), Some(999), "with a tag put aside");
            assert_eq!(of(772, 0, 0), None, "loopback");
            assert_eq!(of(772, OUTGOING, 0), Some(0), "loopback, the other copy");
            assert_eq!(of(65534, 0, 0), Some(999), "without a header");
        }
        let program = whole(&[3, 9], None, 96, 96);
        let about = About {
            interface: 7,
            hardware: 1,
            kind: 0,
            tag: 0,
        };
        assert_eq!(run(&program, &about, program.len()), Some(0), "another one");
    }
}
