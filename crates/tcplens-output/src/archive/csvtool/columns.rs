//! The columns of csvtool.

use tcplens_core::socket::message::kind;

/// tcp-info knows `struct tcp_info` up to `snd_wnd`.
pub(super) const TCP_INFO: usize = 232;

/// Four bytes that tcp-info takes for a signed number, as it does all of eight.
pub(super) const SIGNED: [&str; 2] = ["SegsOut", "SegsIn"];

/// What stands before the fields of `struct tcp_info`.
pub(super) const BEFORE_TCP: &str = "Timestamp,Observed,NotFullyParsed,IDM.Family,IDM.State,IDM.Timer,IDM.Retrans,\
IDM.SockID.SPort,IDM.SockID.DPort,IDM.SockID.Src,IDM.SockID.Dst,IDM.SockID.Interface,IDM.SockID.Cookie,IDM.Expires,\
IDM.Rqueue,IDM.Wqueue,IDM.UID,IDM.Inode,CongestionAlgorithm,TOS,TClass,ClassID,Shutdown,Protocol,Mark,";

/// In the kernel's order; the scales are apart in the corrected shape.
pub(super) const TCP: [&str; 54] = [
    "State",
    "CAState",
    "Retransmits",
    "Probes",
    "Backoff",
    "Options",
    "WScale",
    "AppLimited",
    "RTO",
    "ATO",
    "SndMSS",
    "RcvMSS",
    "Unacked",
    "Sacked",
    "Lost",
    "Retrans",
    "Fackets",
    "LastDataSent",
    "LastAckSent",
    "LastDataRecv",
    "LastAckRecv",
    "PMTU",
    "RcvSsThresh",
    "RTT",
    "RTTVar",
    "SndSsThresh",
    "SndCwnd",
    "AdvMSS",
    "Reordering",
    "RcvRTT",
    "RcvSpace",
    "TotalRetrans",
    "PacingRate",
    "MaxPacingRate",
    "BytesAcked",
    "BytesReceived",
    "SegsOut",
    "SegsIn",
    "NotsentBytes",
    "MinRTT",
    "DataSegsIn",
    "DataSegsOut",
    "DeliveryRate",
    "BusyTime",
    "RWndLimited",
    "SndBufLimited",
    "Delivered",
    "DeliveredCE",
    "BytesSent",
    "BytesRetrans",
    "DSackDups",
    "ReordSeen",
    "RcvOooPack",
    "SndWnd",
];

/// An attribute that is a row of numbers.
pub(super) struct Group {
    /// Its kind.
    pub(super) kind: u16,
    /// Bytes that tcp-info expects. Go rounds the size of BBR's up to 24.
    pub(super) bytes: usize,
    /// Each number's name and bytes.
    pub(super) fields: &'static [(&'static str, usize)],
}

/// What stands behind `TCP`.
pub(super) const BEHIND_TCP: [Group; 5] = [
    Group {
        kind: kind::MEMINFO,
        bytes: 16,
        fields: &[
            ("MemInfo.Rmem", 4),
            ("MemInfo.Wmem", 4),
            ("MemInfo.Fmem", 4),
            ("MemInfo.Tmem", 4),
        ],
    },
    Group {
        kind: kind::SKMEMINFO,
        bytes: 36,
        fields: &[
            ("SKMemInfo.RmemAlloc", 4),
            ("SKMemInfo.Rcvbuf", 4),
            ("SKMemInfo.WmemAlloc", 4),
            ("SKMemInfo.Sndbuf", 4),
            ("SKMemInfo.FwdAlloc", 4),
            ("SKMemInfo.WmemQueued", 4),
            ("SKMemInfo.Optmem", 4),
            ("SKMemInfo.Backlog", 4),
            ("SKMemInfo.Drops", 4),
        ],
    },
    Group {
        kind: kind::VEGASINFO,
        bytes: 16,
        fields: &[
            ("Vegas.Enabled", 4),
            ("Vegas.RTTCount", 4),
            ("Vegas.RTT", 4),
            ("Vegas.MinRTT", 4),
        ],
    },
    Group {
        kind: kind::DCTCPINFO,
        bytes: 16,
        fields: &[
            ("DCTCP.Enabled", 2),
            ("DCTCP.CEState", 2),
            ("DCTCP.Alpha", 4),
            ("DCTCP.ABEcn", 4),
            ("DCTCP.ABTot", 4),
        ],
    },
    Group {
        kind: kind::BBRINFO,
        bytes: 24,
        fields: &[
            ("BBR.BW", 8),
            ("BBR.MinRTT", 4),
            ("BBR.PacingGain", 4),
            ("BBR.CwndGain", 4),
        ],
    },
];
