//! Packet filters in the language of pcap-filter(7), with the meaning that libpcap 1.10.3 gives them
//! on capture files, per link type. Compiled to classic BPF and run here; nothing is read from the
//! machine, so names of hosts and networks are refused. User's view: docs/filter.md.

use crate::filter::FilterError;
use crate::packet::LinkType;

mod address;
mod arith;
mod ast;
mod blocks;
mod contradiction;
mod encapsulation;
mod generate;
mod lexer;
mod link;
mod names;
mod parse_arith;
mod parser;
mod port;
mod predicate;
mod primitive;
mod program;
mod protocol;
mod services;
mod tuples;

#[cfg(test)]
mod tests;

pub use program::{Instruction, Program, op};
pub(super) use tuples::Unanswerable;

/// The TCP port of a name in the built-in list.
pub(super) fn port_named(name: &str) -> Option<u16> {
    let (port, transport) = services::port(name)?;
    (transport != services::Transport::Udp).then_some(port)
}

/// Whether a word means something in packet filters.
pub(super) fn is_keyword(word: &str) -> bool {
    names::keyword(word).is_some() || names::constant(word).is_some()
}

/// A parsed expression, not yet bound to a link type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketFilter {
    text: String,
    expr: Option<ast::Expr>,
}

impl PacketFilter {
    /// Parses an expression; an empty one accepts every packet.
    ///
    /// # Errors
    /// The word that does not fit, and what would.
    pub fn parse(text: &str) -> Result<PacketFilter, FilterError> {
        Ok(PacketFilter {
            text: text.to_owned(),
            expr: parser::parse(text)?,
        })
    }

    /// The expression as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first primitive that asks for more than addresses and ports of TCP.
    pub(super) fn beyond_tuples(&self) -> Option<(std::ops::Range<usize>, Unanswerable)> {
        tuples::beyond(self.expr.as_ref()?)
    }

    /// The program for the packets of one link type. Interfaces of one observation may need several.
    ///
    /// # Errors
    /// The primitive that has no meaning on this link type, or all of it if no packet can match.
    pub fn compile(&self, link_type: LinkType) -> Result<Program, FilterError> {
        generate::compile(&self.text, self.expr.as_ref(), link_type)
    }
}
