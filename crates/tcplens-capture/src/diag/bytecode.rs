//! Conditions that the kernel decides for each socket of a dump (INET_DIAG_REQ_BYTECODE). Reference: linux/inet_diag.h; what is
//! accepted: inet_diag_bc_audit, what it means: inet_diag_bc_run (net/ipv4/inet_diag.c).
//!
//! An operation goes on behind itself (`yes`) or jumps forward (`no`). A program takes a socket if it ends exactly at its end;
//! a jump 4 bytes beyond it leaves the socket out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is said of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of them; of none: every socket.
    And(Vec<Condition>),
    /// One of them at least; of none: no socket.
    Or(Vec<Condition>),
    /// Not that.
    Not(Box<Condition>),
    /// Our port is one of these, both ends included.
    SourcePort(u16, u16),
    /// The other end's port is one of these, both ends included.
    DestinationPort(u16, u16),
    /// Our address has these first bits. A mapped address (`::ffff:10.0.0.1`) is IPv4, in the socket as in the condition: an
    /// IPv4 network has sockets of both families, and an IPv6 network never has an IPv4 address, be it `::/0`.
    SourceNet(IpAddr, u8),
    /// The same of the other end's.
    DestinationNet(IpAddr, u8),
    /// It is bound to the interface of this number (SO_BINDTODEVICE).
    Interface(u32),
    /// It was made in this control group (Linux 5.9); what is left of a socket in TIME_WAIT has none.
    Cgroup(u64),
    /// Those bits of its mark that `mask` has (SO_MARK) contain these. Only with CAP_NET_ADMIN.
    Mark {
        /// Bits that are set.
        mark: u32,
        /// Bits that are looked at.
        mask: u32,
    },
}

/// Why the kernel cannot decide it: whoever asks has to, for each socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BytecodeError {
    /// An attribute of netlink has no more.
    #[error("the condition takes more than 64 KiB as a program for the kernel")]
    TooLong,
    /// Conditions within conditions. Chosen.
    #[error("the condition is nested deeper than {DEEPEST} levels")]
    TooDeep,
}

/// A program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytecode(Vec<u8>);

// enum in linux/inet_diag.h. Ports are compared with >= and <=: == came with Linux 5.12 only.
const NOP: u8 = 0;
const JUMP: u8 = 1;
const SOURCE_AT_LEAST: u8 = 2;
const SOURCE_AT_MOST: u8 = 3;
const DESTINATION_AT_LEAST: u8 = 4;
const DESTINATION_AT_MOST: u8 = 5;
const SOURCE: u8 = 7;
const DESTINATION: u8 = 8;
const INTERFACE: u8 = 9;
const MARK: u8 = 10;
const CGROUP: u8 = 13;

/// `struct inet_diag_bc_op`: code (1), yes (1), no (2).
const OPERATION: usize = 4;
/// What an attribute's length of two bytes leaves, in whole operations.
const LONGEST: usize = (u16::MAX as usize - 4) / OPERATION * OPERATION;
/// Chosen: people write about five.
const DEEPEST: usize = 256;

impl Bytecode {
    /// The program for a condition. The kernel looks at every pair of its operations for each dump, so programs of thousands of
    /// operations cost more than they save.
    ///
    /// # Errors
    /// The kernel does not take a program of that length.
    pub fn new(condition: &Condition) -> Result<Bytecode, BytecodeError> {
        let mut program = Program::default();
        let out = program.label();
        program.condition(condition, out, 0)?;
        if program.bytes.is_empty() {
            // Without a program there is nothing to check, and the kernel says so.
            program.operation(NOP, None, &[])?;
        }
        let end = program.bytes.len();
        program.put(out, end + OPERATION);
        Ok(Bytecode(program.finish()))
    }

    /// As the kernel takes it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A place that is jumped to.
#[derive(Clone, Copy, Debug)]
struct Label(usize);

#[derive(Debug, Default)]
struct Program {
    bytes: Vec<u8>,
    /// Where each label is, once that is known.
    labels: Vec<usize>,
    /// Operations that jump.
    jumps: Vec<(usize, Label)>,
}

impl Program {
    fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() - 1)
    }

    fn put(&mut self, label: Label, at: usize) {
        if let Some(place) = self.labels.get_mut(label.0) {
            *place = at;
        }
    }

    fn put_here(&mut self, label: Label) {
        self.put(label, self.bytes.len());
    }

    /// Goes on behind what is written if it holds, else at `otherwise`.
    fn condition(
        &mut self,
        condition: &Condition,
        otherwise: Label,
        depth: usize,
    ) -> Result<(), BytecodeError> {
        if depth > DEEPEST {
            return Err(BytecodeError::TooDeep);
        }
        let depth = depth + 1;
        let to = Some(otherwise);
        match condition {
            Condition::And(all) => {
                for each in all {
                    self.condition(each, otherwise, depth)?;
                }
                Ok(())
            }
            Condition::Or(any) => {
                let Some((last, first)) = any.split_last() else {
                    return self.jump(otherwise);
                };
                let holds = self.label();
                for each in first {
                    let next = self.label();
                    self.condition(each, next, depth)?;
                    self.jump(holds)?;
                    self.put_here(next);
                }
                self.condition(last, otherwise, depth)?;
                self.put_here(holds);
                Ok(())
            }
            Condition::Not(inner) => {
                let holds = self.label();
                self.condition(inner, holds, depth)?;
                self.jump(otherwise)?;
                self.put_here(holds);
                Ok(())
            }
            Condition::SourcePort(low, high) => {
                self.ports([SOURCE_AT_LEAST, SOURCE_AT_MOST], *low, *high, otherwise)
            }
            Condition::DestinationPort(low, high) => {
                let codes = [DESTINATION_AT_LEAST, DESTINATION_AT_MOST];
                self.ports(codes, *low, *high, otherwise)
            }
            Condition::SourceNet(address, bits) => self.net(SOURCE, *address, *bits, otherwise),
            Condition::DestinationNet(address, bits) => {
                self.net(DESTINATION, *address, *bits, otherwise)
            }
            Condition::Interface(index) => self.operation(INTERFACE, to, &index.to_ne_bytes()),
            Condition::Cgroup(number) => self.operation(CGROUP, to, &number.to_ne_bytes()),
            Condition::Mark { mark, mask } => {
                // The kernel compares with all of the mark, ours says which bits count.
                let argument = [(mark & mask).to_ne_bytes(), mask.to_ne_bytes()].concat();
                self.operation(MARK, to, &argument)
            }
        }
    }

    fn ports(
        &mut self,
        [at_least, at_most]: [u8; 2],
        low: u16,
        high: u16,
        otherwise: Label,
    ) -> Result<(), BytecodeError> {
        if low > high {
            return self.jump(otherwise);
        }
        // The port stands in the `no` of an operation that is none.
        let argument = |port: u16| {
            let [a, b] = port.to_ne_bytes();
            [0, 0, a, b]
        };
        if low > 0 {
            self.operation(at_least, Some(otherwise), &argument(low))?;
        }
        if high < u16::MAX {
            self.operation(at_most, Some(otherwise), &argument(high))?;
        }
        Ok(())
    }

    fn net(
        &mut self,
        code: u8,
        address: IpAddr,
        bits: u8,
        otherwise: Label,
    ) -> Result<(), BytecodeError> {
        match address {
            IpAddr::V4(address) => self.host(code, address.into(), bits.min(32), otherwise),
            IpAddr::V6(address) => {
                let bits = bits.min(128);
                if let (Some(bits), Some(inner)) = (bits.checked_sub(96), address.to_ipv4_mapped())
                {
                    return self.host(code, inner.into(), bits, otherwise);
                }
                if has_mapped(address, bits) {
                    let is_not_v4 = self.label();
                    let all = Ipv4Addr::UNSPECIFIED.into();
                    self.host(code, all, 0, is_not_v4)?;
                    self.jump(otherwise)?;
                    self.put_here(is_not_v4);
                }
                self.host(code, address.into(), bits, otherwise)
            }
        }
    }

    /// `struct inet_diag_hostcond`: family (1), bits (1), padding (2), port (4, -1: any), address. With AF_INET the kernel looks at
    /// sockets of AF_INET6, too, if their address is a mapped one; with AF_INET6 only at those of AF_INET6.
    fn host(
        &mut self,
        code: u8,
        address: IpAddr,
        bits: u8,
        otherwise: Label,
    ) -> Result<(), BytecodeError> {
        let mut argument = match address {
            IpAddr::V4(_) => vec![2, bits, 0, 0],
            IpAddr::V6(_) => vec![10, bits, 0, 0],
        };
        argument.extend((-1_i32).to_ne_bytes());
        match address {
            IpAddr::V4(address) => argument.extend(address.octets()),
            IpAddr::V6(address) => argument.extend(address.octets()),
        }
        self.operation(code, Some(otherwise), &argument)
    }

    /// Goes on elsewhere.
    fn jump(&mut self, to: Label) -> Result<(), BytecodeError> {
        self.operation(JUMP, Some(to), &[])
    }

    fn operation(
        &mut self,
        code: u8,
        otherwise: Option<Label>,
        argument: &[u8],
    ) -> Result<(), BytecodeError> {
        let at = self.bytes.len();
        let length = OPERATION + argument.len();
        if at + length > LONGEST {
            return Err(BytecodeError::TooLong);
        }
        // The longest has 28 bytes.
        let yes = u8::try_from(length).map_err(|_| BytecodeError::TooLong)?;
        self.bytes.extend([code, yes, 0, 0]);
        self.bytes.extend(argument);
        if let Some(label) = otherwise {
            self.jumps.push((at, label));
        }
        Ok(())
    }

    /// All labels are put: writes where the jumps go.
    fn finish(mut self) -> Vec<u8> {
        for (at, label) in self.jumps {
            let to = self.labels.get(label.0).copied().unwrap_or_default();
            // No program is longer than this.
            let distance = u16::try_from(to.saturating_sub(at)).unwrap_or(u16::MAX);
            if let Some(no) = self.bytes.get_mut(at + 2..at + OPERATION) {
                no.copy_from_slice(&distance.to_ne_bytes());
            }
        }
        self.bytes
    }
}

/// Whether the network has all mapped addresses (`::ffff:0:0/96`) within.
fn has_mapped(address: Ipv6Addr, bits: u8) -> bool {
    let mapped = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().to_bits();
    let other = 128_u32.saturating_sub(bits.into());
    (mapped ^ address.to_bits()).checked_shr(other).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(condition: &Condition) -> Vec<u8> {
        Bytecode::new(condition).unwrap().bytes().to_vec()
    }

    /// The kernel's inet_diag_bc_audit, but for arguments.
    fn is_taken(program: &[u8]) -> bool {
        let operation = |at: usize| {
            let bytes = program.get(at..at + OPERATION)?;
            let no = u16::from_ne_bytes([bytes[2], bytes[3]]);
            Some((bytes[0], usize::from(bytes[1]), usize::from(no)))
        };
        let mut begins = vec![program.len()];
        let mut at = 0;
        while let Some((_, yes, _)) = operation(at) {
            begins.push(at);
            at += yes;
        }
        let is_jump = |&at: &usize| match operation(at) {
            Some((NOP, ..)) | None => true,
            Some((_, yes, no)) => {
                let to = at + no;
                no >= if yes == 4 { 4 } else { yes }
                    && (begins.contains(&to) || to == program.len() + OPERATION)
            }
        };
        program.len() >= OPERATION && at == program.len() && begins.iter().all(is_jump)
    }

    #[test]
    fn a_port_is_compared_from_both_sides() {
        let code = |bytes: [u8; 4], no: u16| {
            let [a, b] = no.to_ne_bytes();
            [bytes[0], bytes[1], a, b]
        };
        let expected = [
            code([2, 8, 0, 0], 20),
            code([0, 0, 0, 0], 80),
            code([3, 8, 0, 0], 12),
            code([0, 0, 0, 0], 90),
        ];
        assert_eq!(program(&Condition::SourcePort(80, 90)), expected.concat());
    }

    #[test]
    fn every_program_is_of_a_form_that_the_kernel_takes() {
        let port = |port| Condition::SourcePort(port, port);
        let not = |inner| Condition::Not(Box::new(inner));
        let net = |text: &str, bits| Condition::SourceNet(text.parse().unwrap(), bits);
        let mut all = vec![
            Condition::And(vec![]),
            Condition::Or(vec![]),
            not(Condition::And(vec![])),
            not(Condition::Or(vec![])),
            Condition::SourcePort(0, u16::MAX),
            Condition::SourcePort(9, 3),
            net("::", 0),
            net("::", 80),
            net("::", 96),
            net("::ffff:10.0.0.0", 104),
            net("0.0.0.0", 0),
            net("fd00::", 8),
            Condition::Interface(1),
            Condition::Cgroup(7),
            Condition::Mark { mark: 1, mask: 1 },
        ];
        all.push(Condition::Or(vec![
            Condition::And(vec![port(1), not(port(2))]),
            not(Condition::Or(all.clone())),
            Condition::And(all.clone()),
        ]));
        for condition in &all {
            let program = program(condition);
            assert!(is_taken(&program), "{condition:?}: {program:?}");
        }
    }

    #[test]
    fn mapped_networks_are_those_of_ipv4() {
        let net = |text: &str, bits| program(&Condition::SourceNet(text.parse().unwrap(), bits));
        assert_eq!(net("::ffff:10.1.0.0", 112), net("10.1.0.0", 16));
        assert_eq!(net("::ffff:0:0", 96), net("0.0.0.0", 0));
        assert_eq!(net("fd00::", 8).len(), 28);
        assert_eq!(net("::", 0).len(), 16 + 4 + 28);
        let has = |text: &str, bits| has_mapped(text.parse().unwrap(), bits);
        assert!(has("::", 0) && has("::", 80) && has("8000::", 0));
        assert!(!has("::", 81) && !has("::", 128) && !has("fd00::", 1));
    }

    #[test]
    fn what_is_too_long_or_too_deep_is_told() {
        let ports =
            |count| Condition::Or((1..=count).map(|n| Condition::SourcePort(n, n)).collect());
        // 20 bytes each, but for the last one's jump.
        assert!(Bytecode::new(&ports(3276)).is_ok());
        let long = program(&ports(3276));
        assert!(long.len() == 3276 * 20 - 4);
        assert_eq!(Bytecode::new(&ports(3277)), Err(BytecodeError::TooLong));
        let mut deep = Condition::Interface(1);
        for _ in 0..300 {
            deep = Condition::Not(Box::new(deep));
        }
        assert_eq!(Bytecode::new(&deep), Err(BytecodeError::TooDeep));
    }
}
