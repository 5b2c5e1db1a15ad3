//! The closed sets of words in records about sockets, and the kernel's numbers for them.

use super::Word;

/// A set of words with the kernel's number of each.
macro_rules! numbered {
    ($(#[doc = $doc:literal])+ $name:ident {
        $( $(#[doc = $vdoc:literal])+ $variant:ident = $number:literal => $word:literal ),+ $(,)?
    }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $( $(#[doc = $vdoc])+ $variant = $number, )+ }
        impl $name {
            /// All words of the set, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// Of the kernel's number; `None`: it is not known here.
            #[must_use]
            pub fn of(number: u8) -> Option<$name> {
                match number {
                    $( $number => Some($name::$variant), )+
                    _ => None,
                }
            }

            /// The kernel's number.
            #[must_use]
            pub fn number(self) -> u8 {
                self as u8
            }
        }
        impl Word for $name {
            #[inline]
            fn word(self) -> Option<&'static str> {
                Some(match self { $( $name::$variant => $word, )+ })
            }
        }
    };
}

numbered! {
    /// The state of a TCP socket (include/net/tcp_states.h).
    SocketState {
        /// Data flows.
        Established = 1 => "established",
        /// SYN sent.
        SynSent = 2 => "syn_sent",
        /// SYN received.
        SynRecv = 3 => "syn_recv",
        /// FIN sent.
        FinWait1 = 4 => "fin_wait1",
        /// FIN sent and acknowledged.
        FinWait2 = 5 => "fin_wait2",
        /// Waits for late segments.
        TimeWait = 6 => "time_wait",
        /// Closed.
        Close = 7 => "close",
        /// The peer's FIN came.
        CloseWait = 8 => "close_wait",
        /// The peer's FIN came, ours was sent.
        LastAck = 9 => "last_ack",
        /// Takes connections.
        Listen = 10 => "listen",
        /// Both FINs were sent at once.
        Closing = 11 => "closing",
        /// SYN received, as kernels since 4.4 keep it apart.
        NewSynRecv = 12 => "new_syn_recv",
        /// Bound to a port, neither listening nor connected.
        BoundInactive = 13 => "bound_inactive",
    }
}

numbered! {
    /// Which address family a socket has: one for IPv6 may talk IPv4.
    SocketFamily {
        /// AF_INET.
        Ipv4 = 2 => "ipv4",
        /// AF_INET6.
        Ipv6 = 10 => "ipv6",
    }
}

numbered! {
    /// The timer of a socket that fires next (net/ipv4/inet_diag.c).
    SocketTimer {
        /// Retransmission, or early loss probe.
        Retransmit = 1 => "retransmit",
        /// Keep-alive, or an orphan's end.
        Keepalive = 2 => "keepalive",
        /// The end of TIME_WAIT.
        TimeWait = 3 => "time_wait",
        /// Window probe.
        Persist = 4 => "persist",
        /// Delayed ACK.
        DelayedAck = 5 => "delayed_ack",
    }
}

numbered! {
    /// State of congestion avoidance (enum tcp_ca_state).
    CaState {
        /// Nothing is wrong.
        Open = 0 => "open",
        /// Duplicate or selective ACKs came.
        Disorder = 1 => "disorder",
        /// The window is being reduced after ECN or a local drop.
        Cwr = 2 => "cwr",
        /// Fast retransmission.
        Recovery = 3 => "recovery",
        /// A retransmission timeout.
        Loss = 4 => "loss",
    }
}

numbered! {
    /// Which directions of a socket are shut down (sk_shutdown).
    SocketShutdown {
        /// Neither.
        None = 0 => "none",
        /// Receiving: the peer's FIN came, or shutdown(2).
        Receive = 1 => "receive",
        /// Sending.
        Send = 2 => "send",
        /// Both.
        Both = 3 => "both",
    }
}

numbered! {
    /// How a socket's connection ended, as far as the socket itself tells.
    SocketClose {
        /// Its FIN was acknowledged.
        Fin = 0 => "fin",
        /// It ended before its FIN was acknowledged, or sent none: by a RST of either side, or aborted.
        Reset = 1 => "reset",
        /// What it had sent was repeated and nothing came any more.
        TimedOut = 2 => "timed_out",
        /// It was to be opened and the other side answered with a RST.
        Refused = 3 => "refused",
        /// It was to be opened and never was, for another reason.
        Failed = 4 => "failed",
        /// It was not there any more when the kernel was asked again; its end was not seen.
        Vanished = 5 => "vanished",
        /// Its end was seen and tells not how.
        Unknown = 6 => "unknown",
        /// It was open when the observation ended.
        Open = 7 => "open",
        /// It sent a RST, as the kernel's own view tells.
        ResetSent = 8 => "reset_sent",
        /// A RST came, as the kernel's own view tells.
        ResetReceived = 9 => "reset_received",
    }
}

numbered! {
    /// What limited the rate of a connection's sending for most of its life.
    Limit {
        /// The sender's own buffer (SO_SNDBUF) while there was something to send.
        Sender = 0 => "sender",
        /// The window of the receiver.
        ReceiverWindow = 1 => "receiver_window",
        /// The congestion window, and pacing.
        Congestion = 2 => "congestion",
        /// The application: there was nothing to send.
        Application = 3 => "application",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_words_belong_together_and_an_unknown_number_is_no_word() {
        for &state in SocketState::ALL {
            assert_eq!(SocketState::of(state.number()), Some(state));
        }
        assert_eq!(SocketState::of(10).word(), Some("listen"));
        assert_eq!((SocketState::of(0), SocketState::of(14)), (None, None));
        assert_eq!(SocketFamily::of(10), Some(SocketFamily::Ipv6));
    }
}
