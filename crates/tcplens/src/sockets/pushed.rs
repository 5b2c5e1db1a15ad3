//! What of an expression the kernel decides: it leaves sockets out before they cost anything. It never leaves out more than the
//! expression does, which is asked of every record again.

use tcplens_capture::diag::{Bytecode, Condition};
use tcplens_core::filter::record::EndsCondition;
use tcplens_core::socket::message::state;

/// States of what is no connection: those that `ss` does not show without options.
pub(crate) const NO_CONNECTIONS: u32 = 1 << state::LISTEN
    | 1 << state::SYN_RECV
    | 1 << state::NEW_SYN_RECV
    | 1 << state::TIME_WAIT
    | 1 << state::CLOSE;

/// All states.
const ALL: u32 = u32::MAX;

/// What the kernel is asked for.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// Bit n: sockets in the kernel's state n.
    pub states: u32,
    /// Of these, which ends.
    pub bytecode: Option<Bytecode>,
}

impl Pushed {
    /// What a condition comes to.
    pub(crate) fn of(condition: &EndsCondition) -> Pushed {
        // A program that the kernel would not take is none: the expression decides alone.
        let bytecode = ends(condition).and_then(|condition| Bytecode::new(&condition).ok());
        Pushed {
            states: states(condition),
            bytecode,
        }
    }
}

/// The states in which a socket may pass.
fn states(condition: &EndsCondition) -> u32 {
    match condition {
        EndsCondition::And(all) => all.iter().fold(ALL, |mask, one| mask & states(one)),
        EndsCondition::Or(all) => all.iter().fold(0, |mask, one| mask | states(one)),
        EndsCondition::State(mask) => u32::from(*mask),
        EndsCondition::Any
        | EndsCondition::Not(_)
        | EndsCondition::LocalPort(_)
        | EndsCondition::RemotePort(_)
        | EndsCondition::LocalNet(_)
        | EndsCondition::RemoteNet(_) => ALL,
    }
}

/// The condition without its states; `None`: every socket.
fn ends(condition: &EndsCondition) -> Option<Condition> {
    Some(match condition {
        EndsCondition::Any | EndsCondition::State(_) => return None,
        EndsCondition::And(all) => {
            let all: Vec<_> = all.iter().filter_map(ends).collect();
            return (!all.is_empty()).then_some(Condition::And(all));
        }
        EndsCondition::Or(all) => Condition::Or(all.iter().map(ends).collect::<Option<_>>()?),
        EndsCondition::Not(inner) => Condition::Not(Box::new(ends(inner)?)),
        EndsCondition::LocalPort(ports) => Condition::SourcePort(*ports.start(), *ports.end()),
        EndsCondition::RemotePort(ports) => {
            Condition::DestinationPort(*ports.start(), *ports.end())
        }
        EndsCondition::LocalNet(net) => Condition::SourceNet(net.address, net.prefix),
        EndsCondition::RemoteNet(net) => Condition::DestinationNet(net.address, net.prefix),
    })
}

#[cfg(test)]
mod tests {
    use tcplens_core::filter::record::RecordFilter;
    use tcplens_core::record::Socket;

    use super::*;

    fn pushed(text: &str) -> Pushed {
        Pushed::of(&RecordFilter::parse::<Socket<'_>>(text).unwrap().ends())
    }

    #[test]
    fn states_and_ends_are_the_kernel_s_and_other_fields_are_not() {
        for (text, states, has_bytecode) in [
            ("", ALL, false),
            ("rtt_us > 5ms", ALL, false),
            ("state established", 1 << 1, false),
            ("state established and dport = :443", 1 << 1, true),
            ("sport = :80 or rtt_us > 5ms", ALL, false),
            ("sport = :80 and rtt_us > 5ms", ALL, true),
            ("dst 10.0.0.0/8 and not dport = :22", ALL, true),
        ] {
            let pushed = pushed(text);
            assert_eq!(pushed.states & 0x1ffe, states & 0x1ffe, "{text}");
            assert_eq!(pushed.bytecode.is_some(), has_bytecode, "{text}");
        }
    }
}
