//! Classic BPF programs and the interpreter that runs them on captured bytes (McCanne and Jacobson,
//! "The BSD Packet Filter"; libpcap's `bpf_filter`). Not the compiler. A program ends for every input:
//! jumps go forward, except the loops of `protochain`, which are counted.

/// One classic BPF instruction, laid out as the kernel's `sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instruction {
    /// Class, size, mode or operation: the sums of [`op`].
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// The immediate: a constant, an offset or a memory word.
    pub k: u32,
}

/// Instruction codes used by the compiler, with the kernel's values (`linux/filter.h`).
pub mod op {
    #![expect(
        missing_docs,
        reason = "names of the kernel's header; a sentence each would only repeat them"
    )]
    pub const LD_ABS_W: u16 = 0x20;
    pub const LD_ABS_H: u16 = 0x28;
    pub const LD_ABS_B: u16 = 0x30;
    pub const LD_IND_W: u16 = 0x40;
    pub const LD_IND_H: u16 = 0x48;
    pub const LD_IND_B: u16 = 0x50;
    pub const LD_IMM: u16 = 0x00;
    pub const LD_MEM: u16 = 0x60;
    pub const LD_LEN: u16 = 0x80;
    pub const LDX_IMM: u16 = 0x01;
    pub const LDX_MEM: u16 = 0x61;
    pub const LDX_MSH: u16 = 0xb1;
    pub const ST: u16 = 0x02;
    pub const STX: u16 = 0x03;
    pub const ALU_ADD_K: u16 = 0x04;
    pub const ALU_SUB_K: u16 = 0x14;
    pub const ALU_MUL_K: u16 = 0x24;
    pub const ALU_DIV_K: u16 = 0x34;
    pub const ALU_OR_K: u16 = 0x44;
    pub const ALU_AND_K: u16 = 0x54;
    pub const ALU_LSH_K: u16 = 0x64;
    pub const ALU_RSH_K: u16 = 0x74;
    pub const ALU_MOD_K: u16 = 0x94;
    pub const ALU_XOR_K: u16 = 0xa4;
    pub const ALU_NEG: u16 = 0x84;
    pub const ALU_ADD_X: u16 = 0x0c;
    pub const ALU_SUB_X: u16 = 0x1c;
    pub const ALU_MUL_X: u16 = 0x2c;
    pub const ALU_DIV_X: u16 = 0x3c;
    pub const ALU_OR_X: u16 = 0x4c;
    pub const ALU_AND_X: u16 = 0x5c;
    pub const ALU_LSH_X: u16 = 0x6c;
    pub const ALU_RSH_X: u16 = 0x7c;
    pub const ALU_MOD_X: u16 = 0x9c;
    pub const ALU_XOR_X: u16 = 0xac;
    pub const JA: u16 = 0x05;
    pub const JEQ_K: u16 = 0x15;
    pub const JGT_K: u16 = 0x25;
    pub const JGE_K: u16 = 0x35;
    pub const JSET_K: u16 = 0x45;
    pub const JEQ_X: u16 = 0x1d;
    pub const JGT_X: u16 = 0x2d;
    pub const JGE_X: u16 = 0x3d;
    pub const RET_K: u16 = 0x06;
    pub const TAX: u16 = 0x07;
    pub const TXA: u16 = 0x87;
}

impl Instruction {
    pub(super) const fn new(code: u16, k: u32) -> Self {
        Instruction {
            code,
            jt: 0,
            jf: 0,
            k,
        }
    }

    pub(super) const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Self {
        Instruction { code, jt, jf, k }
    }
}

/// Scratch words of the machine.
pub(super) const MEMORY_WORDS: usize = 16;

/// What a program returns to accept: bytes to keep, tcpdump's default snap length.
pub(super) const ACCEPT: u32 = 262_144;

/// Backward jumps a program may take per packet. Each one skips at least one header of 4 bytes, so
/// that no packet of 64 KiB needs more.
const LOOPS: u32 = 16_384;

/// A compiled filter for one link type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    pub(super) fn new(instructions: Vec<Instruction>) -> Self {
        Program { instructions }
    }

    /// The instructions, for sockets that take classic BPF. Only a program without `protochain` is
    /// free of backward jumps, which kernels refuse.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Whether the packet passes. A load outside `captured` rejects it, whatever stands around the
    /// load in the expression, also `not`: as in libpcap.
    #[must_use]
    pub fn matches(&self, captured: &[u8], wire_length: u32) -> bool {
        let mut a = 0u32;
        let mut x = 0u32;
        let mut memory = [0u32; MEMORY_WORDS];
        let mut loops = LOOPS;
        let mut pc = 0usize;
        while let Some(i) = self.instructions.get(pc) {
            pc += 1;
            let skip = |taken: bool| usize::from(if taken { i.jt } else { i.jf });
            match i.code {
                op::LD_ABS_W | op::LD_IND_W => match word(captured, i, x) {
                    Some(v) => a = v,
                    None => return false,
                },
                op::LD_ABS_H | op::LD_IND_H => match half(captured, i, x) {
                    Some(v) => a = v,
                    None => return false,
                },
                op::LD_ABS_B | op::LD_IND_B => match byte(captured, i, x) {
                    Some(v) => a = v,
                    None => return false,
                },
                op::LDX_MSH => match captured.get(i.k as usize) {
                    Some(v) => x = u32::from(v & 0xf) << 2,
                    None => return false,
                },
                op::LD_IMM => a = i.k,
                op::LD_MEM => a = memory[i.k as usize % MEMORY_WORDS],
                op::LD_LEN => a = wire_length,
                op::LDX_IMM => x = i.k,
                op::LDX_MEM => x = memory[i.k as usize % MEMORY_WORDS],
                op::ST => memory[i.k as usize % MEMORY_WORDS] = a,
                op::STX => memory[i.k as usize % MEMORY_WORDS] = x,
                op::ALU_ADD_K => a = a.wrapping_add(i.k),
                op::ALU_SUB_K => a = a.wrapping_sub(i.k),
                op::ALU_MUL_K => a = a.wrapping_mul(i.k),
                op::ALU_DIV_K => match a.checked_div(i.k) {
                    Some(v) => a = v,
                    None => return false,
                },
                op::ALU_MOD_K => match a.checked_rem(i.k) {
                    Some(v) => a = v,
                    None => return false,
                },
                op::ALU_OR_K => a |= i.k,
                op::ALU_XOR_K => a ^= i.k,
                op::ALU_RSH_K => a = a.checked_shr(i.k).unwrap_or(0),
                op::ALU_AND_K => a &= i.k,
                op::ALU_LSH_K => a = a.checked_shl(i.k).unwrap_or(0),
                op::ALU_NEG => a = a.wrapping_neg(),
                op::ALU_ADD_X => a = a.wrapping_add(x),
                op::ALU_SUB_X => a = a.wrapping_sub(x),
                op::ALU_MUL_X => a = a.wrapping_mul(x),
                op::ALU_DIV_X => match a.checked_div(x) {
                    Some(v) => a = v,
                    None => return false,
                },
                op::ALU_MOD_X => match a.checked_rem(x) {
                    Some(v) => a = v,
                    None => return false,
                },
                op::ALU_OR_X => a |= x,
                op::ALU_AND_X => a &= x,
                op::ALU_XOR_X => a ^= x,
                op::ALU_LSH_X => a = a.checked_shl(x).unwrap_or(0),
                op::ALU_RSH_X => a = a.checked_shr(x).unwrap_or(0),
                op::JEQ_K => pc += skip(a == i.k),
                op::JGT_K => pc += skip(a > i.k),
                op::JGE_K => pc += skip(a >= i.k),
                op::JSET_K => pc += skip(a & i.k != 0),
                op::JEQ_X => pc += skip(a == x),
                op::JGT_X => pc += skip(a > x),
                op::JGE_X => pc += skip(a >= x),
                op::TAX => x = a,
                op::TXA => a = x,
                op::JA => {
                    let by = i.k.cast_signed();
                    if by < 0 {
                        loops -= 1;
                        if loops == 0 {
                            return false;
                        }
                    }
                    match pc.checked_add_signed(by as isize) {
                        Some(to) => pc = to,
                        None => return false,
                    }
                }
                op::RET_K => return i.k != 0,
                _ => {
                    debug_assert!(false, "the compiler emits no code {:#x}", i.code);
                    return false;
                }
            }
        }
        false
    }
}

/// Where a load begins: absolute, or relative to X (mode bit 0x40), which may not wrap.
fn position(i: &Instruction, x: u32) -> Option<usize> {
    let at = if i.code & 0x40 == 0 {
        i.k
    } else {
        i.k.checked_add(x)?
    };
    Some(at as usize)
}

fn word(bytes: &[u8], i: &Instruction, x: u32) -> Option<u32> {
    let four = bytes.get(position(i, x)?..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*four))
}

fn half(bytes: &[u8], i: &Instruction, x: u32) -> Option<u32> {
    let two = bytes.get(position(i, x)?..)?.first_chunk::<2>()?;
    Some(u32::from(u16::from_be_bytes(*two)))
}

fn byte(bytes: &[u8], i: &Instruction, x: u32) -> Option<u32> {
    bytes.get(position(i, x)?).map(|b| u32::from(*b))
}
