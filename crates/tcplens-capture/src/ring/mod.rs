//! Live packets: a TPACKET_V3 ring on an AF_PACKET socket (Linux, Documentation/networking/packet_mmap.rst). The kernel
//! fills blocks of packets that lie in memory shared with it; they are read where they lie.
//!
//! A block has one owner at a time: the kernel, until it sets the block's status, then we, until we set it back.
//!
//! ```text
//!   ring   | block 0 | block 1 | block 2 | ...       1 MiB each
//!   block  | header | frame | frame | ...            given to us when it is full, or 20 ms after its first frame
//!   frame  | tpacket3_hdr | sockaddr_ll | 4 bytes of room | packet
//! ```

mod error;
mod fanout;
mod frames;
mod interfaces;
mod map;
mod program;
mod socket;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tcplens_core::filter::packet::{PacketFilter, Program};
use tcplens_core::packet::{Interface, Lent, LinkType, Packet};
use tcplens_core::time::Timestamp;

pub use error::RingError;
use frames::Walk;
use interfaces::Interfaces;
use map::Map;
use socket::Socket;

use crate::clock;
use crate::interfaces::{Interface as Asked, find, list};

/// Bytes of a block: large enough for any packet that offloading joins, small enough that one is in work and the others
/// wait.
const BLOCK: usize = 1 << 20;
/// Bytes of a ring where nobody asks for another size.
const USUAL_BUFFER: u64 = 64 << 20;
/// What the kernel is told to keep of packets that are still to be decided about: all.
const WHOLE: u32 = 262_144;
/// A block is handed over so long after its first packet, full or not. Chosen: who looks at a screen sees no delay, and
/// an idle machine is woken no more than 50 times a second.
const RETIRE: Duration = Duration::from_millis(20);

/// What to capture, and how.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// Names of interfaces; `any` or none at all: every one.
    pub interfaces: Vec<String>,
    /// Bytes of the ring.
    pub buffer: u64,
    /// Bytes kept of each packet.
    pub snaplen: u32,
    /// Also packets that are not for this host.
    pub promiscuous: bool,
    /// Packets to take.
    pub filter: Option<PacketFilter>,
}

/// What the kernel counted since the ring was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingCounts {
    /// Packets that found no room in the ring.
    pub drops: u64,
    /// Packets that were handed out.
    pub packets: u64,
}

/// An open ring.
pub struct Ring {
    socket: Socket,
    map: Map,
    /// The block that comes next.
    next: usize,
    packets: Vec<Packet>,
    interfaces: Interfaces,
    gate: Gate,
    counts: RingCounts,
    snaplen: u32,
    /// Packets that are not for this host, too.
    is_promiscuous: bool,
    /// To one interface: else the program selects those that were asked for.
    is_bound: bool,
    /// When packets were found to be dropped, until it is told.
    lost: Option<Timestamp>,
    /// No packet enters any more; what is in the ring is still read.
    is_closed: bool,
}

/// Packets of one block. Dropping it gives the block back to the kernel.
pub struct Block<'r> {
    ring: &'r mut Ring,
    number: usize,
    walk: Walk,
}

/// Decides about those packets that the kernel's filter lets through undecided.
#[derive(Debug, Default)]
struct Gate {
    filter: Option<PacketFilter>,
    /// By link type; `None`: the filter has no meaning there, and nothing passes.
    programs: Vec<(LinkType, Option<Program>)>,
    /// The kernel decides nothing: the filter has loops, or is too long for it.
    is_alone: bool,
}

impl Ring {
    /// Opens rings that share the packets, one for each of `threads`, and lets packets in. Both directions of a flow come to
    /// one of them. Needs CAP_NET_RAW.
    ///
    /// # Errors
    /// An interface does not exist, it is not permitted, or the kernel has no memory for the rings.
    pub fn open(options: &RingOptions, threads: usize) -> Result<Vec<Ring>, RingError> {
        let mut asked = Vec::new();
        if !options.is_any() {
            for name in &options.interfaces {
                asked.push(find(name)?);
            }
        }
        let mut rings = Vec::new();
        let mut group = None;
        for _ in 0..threads.max(1) {
            // A ring that shares packets can never be bound anew (packet_do_bind): it gets those of all interfaces, and the
            // program selects.
            let ring = Ring::closed(options, &asked, threads == 1)?;
            if threads > 1 {
                group = Some(ring.socket.join(group)?);
            }
            rings.push(ring);
        }
        if threads > 1
            && let Some(first) = rings.first()
        {
            first.socket.share_by(&fanout::program())?;
        }
        for ring in &mut rings {
            ring.let_in()?;
        }
        Ok(rings)
    }

    /// Makes a ring as live capture does by default, and lets nothing in: whether it works here.
    ///
    /// # Errors
    /// Why it does not.
    pub fn probe() -> Result<(), RingError> {
        let options = RingOptions {
            interfaces: Vec::new(),
            buffer: USUAL_BUFFER,
            snaplen: 262_144,
            promiscuous: false,
            filter: None,
        };
        let ring = Ring::closed(&options, &[], true)?;
        ring.socket.join(None)?;
        ring.socket.share_by(&fanout::program())
    }

    /// A ring that is bound and gets nothing yet; `alone`: to the only interface, if it is one.
    fn closed(options: &RingOptions, asked: &[Asked], alone: bool) -> Result<Ring, RingError> {
        let socket = Socket::open(&options.name())?;
        let mut gate = Gate {
            filter: options.filter.clone(),
            ..Gate::default()
        };
        let links: &[LinkType] = match asked {
            [one] => &[interfaces::link_of(one.hardware_type).0],
            _ => &[LinkType::ETHERNET, LinkType::RAW],
        };
        gate.compile(links)?;
        socket.ring_version()?;
        socket.reserve_vlan_tag()?;
        let size = usize::try_from(options.buffer).unwrap_or(usize::MAX);
        let blocks = (size / BLOCK).max(2);
        socket.make_ring(BLOCK, blocks, RETIRE)?;
        let map = Map::new(&socket, BLOCK, blocks)?;
        socket.attach(&program::nothing())?;
        let bound = match asked {
            [one] if alone => Some(one.index),
            _ => None,
        };
        socket.bind(bound.unwrap_or(0))?;
        if options.promiscuous {
            let all = match asked {
                [] => list()?,
                some => some.to_vec(),
            };
            for interface in all {
                socket.promiscuous(interface.index)?;
            }
        }
        let names = asked.iter().map(|one| (one.index, one.name.clone()));
        Ok(Ring {
            interfaces: Interfaces::new(names.collect()),
            socket,
            map,
            next: 0,
            packets: Vec::new(),
            gate,
            counts: RingCounts::default(),
            snaplen: options.snaplen,
            is_promiscuous: options.promiscuous,
            is_bound: bound.is_some(),
            lost: None,
            is_closed: false,
        })
    }

    /// From now on packets that pass the filter enter.
    fn let_in(&mut self) -> Result<(), RingError> {
        let asked = self.interfaces.asked().iter().filter(|_| !self.is_bound);
        let indexes: Vec<u32> = asked.map(|(index, _)| *index).collect();
        let filter = self.gate.of(LinkType::ETHERNET).map(Program::instructions);
        // What is decided here must be whole until then.
        let undecided = match self.gate.filter {
            Some(_) => WHOLE,
            None => self.snaplen,
        };
        let program = program::whole(&indexes, filter, self.snaplen, undecided);
        self.gate.is_alone = self.socket.attach(&program).is_err();
        if self.gate.is_alone {
            let program = program::whole(&indexes, None, undecided, undecided);
            self.socket.attach(&program)?;
        }
        Ok(())
    }

    /// The next block, waiting for it up to `wait`; `None`: there is none yet.
    ///
    /// # Errors
    /// The interface went away, or the socket failed.
    pub fn next_block(&mut self, wait: Duration) -> Result<Option<Block<'_>>, RingError> {
        if !self.map.is_ours(self.next) {
            self.socket.wait(wait, &self.interfaces)?;
            if !self.map.is_ours(self.next) {
                return Ok(None);
            }
        }
        let number = self.next;
        self.next = (number + 1) % self.map.blocks();
        let (bytes, has_lost) = self.map.bytes(number);
        let walk = Walk::begin(bytes);
        if has_lost {
            self.count_drops();
        }
        Ok(Some(Block {
            ring: self,
            number,
            walk,
        }))
    }

    /// Looks whether interfaces that were asked for by name have come back under another number, and captures on them again:
    /// that takes no privilege. Says whether there is one now.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn find_again(&mut self) -> Result<bool, RingError> {
        let asked = self.interfaces.asked().iter();
        let now: Vec<(u32, String, bool)> = asked
            .map(|(index, name)| match self.socket.index_of(name) {
                Some(now) => (now, name.clone(), true),
                None => (*index, name.clone(), false),
            })
            .collect();
        let is_there = now.is_empty() || now.iter().any(|(.., is_there)| *is_there);
        let before = self.interfaces.asked().to_vec();
        let after: Vec<(u32, String)> = now.into_iter().map(|(i, name, _)| (i, name)).collect();
        if before != after && !self.is_closed {
            if let ([(index, _)], true) = (after.as_slice(), self.is_bound) {
                self.socket.bind(*index)?;
            }
            self.interfaces.set_asked(after);
            self.let_in()?;
            if self.is_promiscuous {
                for (index, _) in self.interfaces.asked() {
                    // It went with the interface. Those that are still there have it already.
                    let _ = self.socket.promiscuous(*index);
                }
            }
        }
        Ok(is_there)
    }

    /// Names of those interfaces that were asked for and are not there now.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let asked = self.interfaces.asked().iter();
        asked
            .filter(|(_, name)| self.socket.index_of(name).is_none())
            .map(|(_, name)| name.as_str())
    }

    /// Whether no block waits: all packets up to a moment ago were seen.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        !self.map.is_ours(self.next)
    }

    /// That the interfaces are gone.
    #[must_use]
    pub fn gone(&self) -> RingError {
        let names = self.interfaces.asked().iter();
        let names: Vec<_> = names.map(|(_, name)| name.as_str()).collect();
        RingError::Gone {
            interface: names.join(", "),
        }
    }

    /// Lets no more packets in; those in the ring can still be read, the last within 20 ms.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn close(&mut self) -> Result<(), RingError> {
        if !self.is_closed {
            self.socket.attach(&program::nothing())?;
            self.is_closed = true;
        }
        Ok(())
    }

    /// Reads what is left after [`close`](Self::close): call until `None`.
    ///
    /// # Errors
    /// As [`next_block`](Self::next_block).
    pub fn last_blocks(&mut self) -> Result<Option<Block<'_>>, RingError> {
        // A block with packets is handed over within its time; one that comes later held none.
        let until = Instant::now() + 3 * RETIRE;
        while !self.map.is_ours(self.next) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // An interface that is gone has said all it had to say.
            if self.socket.wait(left, &self.interfaces).is_err() {
                std::thread::sleep(left.min(RETIRE));
            }
        }
        self.next_block(Duration::ZERO)
    }

    /// What was counted so far.
    pub fn counts(&mut self) -> RingCounts {
        self.count_drops();
        self.counts
    }

    /// Packets were dropped before this time, nobody knows when: told once.
    pub fn take_lost(&mut self) -> Option<Timestamp> {
        self.lost.take()
    }

    /// Asking makes the kernel forget. What is still in the ring may be from before the drop or after it: all that began
    /// until now may lack something.
    fn count_drops(&mut self) {
        let drops = self.socket.drops();
        self.counts.drops += drops;
        if drops > 0 {
            self.lost = Some(clock::now());
        }
    }
}

impl Block<'_> {
    /// The next packets, at most `most`, in the order in which the kernel stored them; `None`: that was all. A few hundred at
    /// a time are still in the cache when they are looked at.
    pub fn next_packets(&mut self, most: usize) -> Option<Lent<'_>> {
        let ring = &mut *self.ring;
        let (bytes, _) = ring.map.bytes(self.number);
        self.walk.packets(
            (most, ring.snaplen),
            bytes,
            &mut ring.interfaces,
            &ring.socket,
            &mut ring.gate,
            &mut ring.packets,
        );
        if ring.packets.is_empty() {
            return None;
        }
        ring.counts.packets += ring.packets.len() as u64;
        Some(Lent {
            bytes: ring.map.read(self.number),
            packets: &ring.packets,
            interfaces: ring.interfaces.table(),
        })
    }

    /// All interfaces known so far.
    #[must_use]
    pub fn interfaces(&self) -> &Arc<Vec<Interface>> {
        self.ring.interfaces.table()
    }

    /// As [`Ring::take_lost`].
    pub fn take_lost(&mut self) -> Option<Timestamp> {
        self.ring.take_lost()
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        self.ring.map.release(self.number);
    }
}

impl RingOptions {
    fn is_any(&self) -> bool {
        self.interfaces.is_empty() || self.interfaces.iter().any(|name| name == "any")
    }

    /// For messages.
    fn name(&self) -> String {
        if self.is_any() {
            "any".into()
        } else {
            self.interfaces.join(", ")
        }
    }
}

impl Gate {
    fn compile(&mut self, links: &[LinkType]) -> Result<(), RingError> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        for (n, link) in links.iter().enumerate() {
            let program = match filter.compile(*link) {
                // It must mean something on the first, or there is nothing to see.
                Err(error) if n == 0 => return Err(RingError::Filter(error)),
                program => program.ok(),
            };
            self.programs.push((*link, program));
        }
        Ok(())
    }

    fn of(&self, link: LinkType) -> Option<&Program> {
        let of_link = self.programs.iter().find(|(known, _)| *known == link);
        of_link.and_then(|(_, program)| program.as_ref())
    }

    /// Whether a packet passes. `is_decided`: the kernel's filter was for packets like it.
    fn passes(&mut self, is_decided: bool, link: LinkType, bytes: &[u8], length: u32) -> bool {
        let Some(filter) = &self.filter else {
            return true;
        };
        if is_decided && !self.is_alone {
            return true;
        }
        if !self.programs.iter().any(|(known, _)| *known == link) {
            self.programs.push((link, filter.compile(link).ok()));
        }
        self.of(link)
            .is_some_and(|program| program.matches(bytes, length))
    }
}
