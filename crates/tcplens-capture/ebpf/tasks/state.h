/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* What is kept of a connection, and what is told: the twin of src/kernel/layout.rs. Times are bpf_ktime_get_ns(). */
#ifndef TCPLENS_STATE_H
#define TCPLENS_STATE_H

#include "kernel.h"

#define always static __always_inline

#define HEAD 64
#define NEXT_HEAD 16
#define FRAMES 4

enum stage { NONE, REQUEST, RESPONSE };

/* Bits of a port. */
enum { LOCAL = 1, PEER = 2, FIRST_FRAME = 16 };

/* Bit of port 0, which no connection has: no ports were named, so that all connections are looked at. */
enum { ALL = 32 };

/* How a role was found. */
enum { BY_PORT, BY_OPENING, BY_GUESS };

enum kind {
	ANSWERED = 1,
	CLOSED_SENDING,
	CLOSED_RECEIVING,
	RECEIVED,
	CLOSED_WAITING,
	OPEN_TASK,
	CONNECTION,
	OPEN_CONNECTION,
	ATTEMPT,
	SYNACK_AGAIN,
	REFUSED_HERE,
	OPEN_ATTEMPT,
};

/* HELD: the peer's window was too small for what was to be sent, or something else of which nobody knows how long it was.
 * NO_T2: it had been acknowledged when the response was found to have begun. */
enum { ADOPTED = 1, REORDERED = 2, QUEUED = 4, HELD = 8, OPENED = 16, NO_T2 = 32 };
/* FIN_FIRST: ours went before the peer's had come. */
enum { FIN_SENT = 1, FIN_RECEIVED = 2, RST_SENT = 4, RST_RECEIVED = 8, FIN_FIRST = 16 };

/* What is told of every kind. */
struct who {
	u64 cookie;
	u64 cgroup;
	u64 began;
	u32 netns;
	u32 pid;
	u32 uid;
	u16 local_port;
	u16 remote_port;
	u8 local[16];
	u8 remote[16];
	u8 comm[16];
	u8 family; /* 4 or 6 */
	u8 role; /* LOCAL or PEER */
	u8 role_by;
	u8 port; /* bits of the port */
	u32 padding;
};

struct event {
	struct who who;
	u64 at;
	u64 t0, t1, t2, t3, t4; /* 0: unknown */
	u64 next; /* T0 of the next task, if that is what ended this one */
	u64 request_bytes, response_bytes;
	u64 sent, received; /* of the connection so far */
	u32 task;
	u32 unacked, unsent;
	u32 retransmits, all_retransmits;
	u32 min_rtt, srtt, cwnd, mss; /* us; segments; bytes */
	u16 error;
	u8 kind;
	u8 flags;
	u8 closing;
	u8 unused;
	u8 head_length;
	u8 next_length;
	u32 frame_bytes[FRAMES], frame_us[FRAMES];
	u32 padding;
};

struct event_with_heads {
	struct event event;
	u8 head[HEAD];
	u8 next_head[NEXT_HEAD];
};

/* Of bytes that only a difference is looked for in, the lower half is kept. */
struct state {
	struct who who;
	/* Task number and stage: changed by compare and exchange, for a task is told by whoever ends it, the tracepoint or the
	 * iterator. What left when is noted as it goes. The rest changes under the socket's lock only. */
	u64 turn;
	u64 t0, t1, t2, t3;
	u64 latched; /* T4 before our FIN went out */
	u64 base_sent, base_received; /* at establishment */
	u64 task_sent, task_received; /* where response and request begin */
	u64 request_bytes;
	u64 left; /* when the byte at left_seq went to the device; 0: it has not */
	u64 last_left; /* when the last of what was sent did, up to last_left_end */
	u32 left_seq, last_left_end;
	u32 latched_sent; /* the bytes that T4 before our FIN belongs to */
	u32 t3_sent; /* server: the bytes that t3 belongs to, which is noted before our FIN goes out */
	u32 seen_received; /* client, after its FIN */
	u32 told; /* what had been sent, or received, when the iterator told of the task `told_task`, which is not 0 */
	u32 told_task;
	u32 start_seq; /* task_sent as a sequence number */
	u32 start_retransmits;
	u32 start_held; /* how long the peer's window had been too small by then, in jiffies */
	u32 start_segments; /* with data, sent by then */
	u32 pending_seq;
	u32 expected_seq; /* what comes before was looked at */
	u32 seen_seq; /* payload before it came by tcp_probe, in order or not */
	u32 unseen; /* of what was received, what did not, while it is made up for */
	u32 segments_at_fin; /* segments with data that had come before our FIN went out */
	u32 base_retransmits; /* before it was adopted */
	u8 flags; /* of the task */
	u8 is_adopted;
	u8 rides; /* server: data came with the last segment of the handshake, or before */
	u8 closing;
	u8 is_told; /* at the end of the observation */
	u8 frame; /* next threshold */
	u8 head_length;
	u8 pending_length;
	u16 error; /* the last that was reported */
	u32 frame_bytes[FRAMES], frame_us[FRAMES];
	u8 head[HEAD];
	u8 pending[HEAD];
};

/* With the 72 bytes that the kernel keeps beside it: a connection takes 512 bytes, and were it one more, 1024. */
_Static_assert(sizeof(struct state) <= 440, "");

#define TURN(task, stage) ((u64)(task) << 2 | (stage))

always enum stage stage_of(const struct state *st)
{
	return st->turn & 3;
}

always u32 task_of(const struct state *st)
{
	return st->turn >> 2;
}

/* What is counted, and commanded: mapped into the reader's memory. */
struct counts {
	u64 drops; /* no room in the ring buffer */
	u64 storage_failed;
	u64 heads_missed;
	u64 postponed; /* by the iterator: no room in the ring buffer */
	u64 times_missed; /* times at the device that are the stack's */
	u64 probes_missed; /* segments that tcp_probe was not told of */
	u64 told_early; /* tasks whose response went on after the iterator had told of them */
};

struct control {
	u64 flush; /* ns; 0: never */
	u32 mode; /* of the iterator */
	u32 padding;
};

enum { FLUSH, TELL, END };

/* src/kernel/layout.rs reads by these. */
_Static_assert(__builtin_offsetof(struct event, at) == 96, "");
_Static_assert(__builtin_offsetof(struct event, task) == 184, "");
_Static_assert(__builtin_offsetof(struct event, error) == 220, "");
_Static_assert(__builtin_offsetof(struct event, frame_bytes) == 228, "");
_Static_assert(sizeof(struct event) == 264 && sizeof(struct event_with_heads) == 344, "");

#endif
