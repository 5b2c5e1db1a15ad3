//! Messages for tests.

use super::message::{HEAD, kind, push_attribute, state};
use super::tcp_info::{KNOWN, PLACES};

/// A message that is being made: by default an established connection 10.0.0.1:5001 to 10.0.0.2:40000 on Linux 6.18.
#[derive(Clone)]
pub(super) struct Make {
    pub(super) head: [u8; HEAD],
    pub(super) info: Option<Vec<u8>>,
    pub(super) attributes: Vec<(u16, Vec<u8>)>,
}

impl Make {
    pub(super) fn new(cookie: u64) -> Make {
        let mut head = [0; HEAD];
        head[..2].copy_from_slice(&[2, state::ESTABLISHED]);
        head[4..6].copy_from_slice(&5001_u16.to_be_bytes());
        head[6..8].copy_from_slice(&40000_u16.to_be_bytes());
        head[8..12].copy_from_slice(&[10, 0, 0, 1]);
        head[24..28].copy_from_slice(&[10, 0, 0, 2]);
        head[44..48].copy_from_slice(&(cookie as u32).to_ne_bytes());
        head[48..52].copy_from_slice(&((cookie >> 32) as u32).to_ne_bytes());
        Make {
            head,
            info: Some(vec![0; KNOWN]),
            attributes: vec![(kind::CONG, b"cubic\0".to_vec()), (kind::TOS, vec![0])],
        }
        .uid(1000, 77)
        .set(&[
            ("state", 1),
            ("delivered", 1),
            ("min_rtt", 0xffff_ffff),
            ("last_ack_recv", 100),
        ])
    }

    /// The word of its end: no user, no attributes but the statistics.
    pub(super) fn destroyed(mut self) -> Make {
        self.attributes = vec![(kind::PROTOCOL, vec![6])];
        self.state(state::CLOSE).uid(0, 0)
    }

    /// Taken from its connection before.
    pub(super) fn disconnected(mut self, wqueue: u32, retransmits: u64) -> Make {
        self.head[6..8].fill(0);
        self.head[24..40].fill(0);
        self.info = Some(vec![0; KNOWN]);
        self.destroyed()
            .queues(0, wqueue)
            .set(&[("retransmits", retransmits)])
    }

    pub(super) fn state(mut self, state: u8) -> Make {
        self.head[1] = state;
        match self.info {
            Some(_) => self.set(&[("state", u64::from(state))]),
            None => self,
        }
    }

    pub(super) fn family(mut self, family: u8) -> Make {
        self.head[0] = family;
        self
    }

    pub(super) fn queues(mut self, rqueue: u32, wqueue: u32) -> Make {
        self.head[56..60].copy_from_slice(&rqueue.to_ne_bytes());
        self.head[60..64].copy_from_slice(&wqueue.to_ne_bytes());
        self
    }

    pub(super) fn uid(mut self, uid: u32, inode: u32) -> Make {
        self.head[64..68].copy_from_slice(&uid.to_ne_bytes());
        self.head[68..72].copy_from_slice(&inode.to_ne_bytes());
        self
    }

    pub(super) fn expires(mut self, ms: u32) -> Make {
        self.head[52..56].copy_from_slice(&ms.to_ne_bytes());
        self
    }

    pub(super) fn no_info(mut self) -> Make {
        self.info = None;
        self
    }

    pub(super) fn attribute(mut self, kind: u16, value: &[u8]) -> Make {
        self.attributes.retain(|(other, _)| *other != kind);
        self.attributes.push((kind, value.to_vec()));
        self
    }

    /// Fields of the statistics, by the kernel's names.
    pub(super) fn set(mut self, fields: &[(&str, u64)]) -> Make {
        let info = self.info.as_mut().unwrap();
        for (name, value) in fields {
            let place = PLACES.iter().find(|place| place.name == *name).unwrap();
            let to = &mut info[place.offset..place.offset + place.width];
            match place.width {
                1 => to.copy_from_slice(&(*value as u8).to_ne_bytes()),
                2 => to.copy_from_slice(&(*value as u16).to_ne_bytes()),
                4 => to.copy_from_slice(&(*value as u32).to_ne_bytes()),
                _ => to.copy_from_slice(&value.to_ne_bytes()),
            }
        }
        self
    }

    /// Payload acknowledged and received besides SYN and FIN, and segments.
    pub(super) fn traffic(self, sent: u64, acked: u64, received: u64, data_segs_in: u64) -> Make {
        self.set(&[
            ("bytes_sent", sent),
            ("bytes_acked", acked),
            ("bytes_received", received),
            ("data_segs_in", data_segs_in),
            ("segs_in", data_segs_in + 3),
            ("segs_out", 5),
        ])
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.to_vec();
        if let Some(info) = &self.info {
            push_attribute(&mut bytes, kind::INFO, info);
        }
        for (kind, value) in &self.attributes {
            push_attribute(&mut bytes, *kind, value);
        }
        bytes
    }
}
