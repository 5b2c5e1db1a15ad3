/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* The state machine of a connection: tasks, from what the stack itself stamps.
 *
 * There is no program per packet sent. tcp_probe fires before a received segment is applied: if snd_nxt has moved since the
 * task began, the response has, too, and first_tx_mstamp is still the time its first segment was sent. delivered_mstamp is
 * the time of the last ACK that delivered data.
 *
 * Who includes it says how fields are read (READ, READ_BY through a pointer, CB, CB_FLAGS), how a socket becomes a tcp_sock
 * (TCP_SOCK), what its number is (COOKIE), where states are (state_of, state_new, state_gone), and how what two may change
 * is changed (EXCHANGE). */
#ifndef TCPLENS_TASKS_H
#define TCPLENS_TASKS_H

#include "state.h"

#define always static __always_inline

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

/* Bits by port, in host order. One value, mapped: it is changed without a system call. */
struct ports {
	u8 bits[65536];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ports);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} control SEC(".maps");

/* Set before loading: what is not asked for is not even verified. */
volatile const u32 asks = 0; /* clients are looked at: the ACK of their request may be the first that is seen */
volatile const u32 wants_tasks = 1;
volatile const u32 wants_attempts = 1;
volatile const u32 peeks = 0;
volatile const u32 only_netns = 0;
volatile const u32 thresholds[FRAMES] = {};
volatile const u32 wakes_at = 1 << 20; /* bytes that wait before the reader is woken: it looks by itself now and then */

static const u32 zero = 0;

#define COUNT(what)                                                                                 \
	do {                                                                                        \
		struct counts *all = bpf_map_lookup_elem(&counts, &zero);                           \
		if (all)                                                                            \
			__sync_fetch_and_add(&all->what, 1);                                        \
	} while (0)

/* Serial number arithmetic (RFC 1982). */
always int after(u32 a, u32 b)
{
	return (s32)(a - b) > 0;
}

/* ---- turns ---- */

#define TURN(task, stage) ((u64)(task) << 2 | (stage))

always enum stage stage_of(const struct state *st)
{
	return st->turn & 3;
}

always u32 task_of(const struct state *st)
{
	return st->turn >> 2;
}

/* Ends the task under way; false: the iterator did. */
always int end_task(struct state *st)
{
	u64 turn = st->turn;
	return (turn & 3) != NONE && EXCHANGE(&st->turn, turn, turn & ~3ull);
}

/* ---- sockets ---- */

/* Payload sent: without our FIN, which lies at the very end of what was written. */
always u64 sent(const struct tcp_sock *tp, const struct state *st)
{
	u32 next = READ(tp, snd_nxt);
	u64 all = READ(tp, bytes_acked) + (u32)(next - READ(tp, snd_una));
	return all - ((st->closing & FIN_SENT) && next == READ(tp, write_seq));
}

/* Payload received: without the peer's FIN. */
always u64 received(const struct sock *sk, const struct tcp_sock *tp)
{
	return READ(tp, bytes_received) - (READ(sk, __sk_common.skc_flags) >> DONE & 1);
}

/* Bits of the socket's port and the role it plays by them; 0: it is not looked at. `opened`: by whom it was, if that is
 * known. */
always u8 role_of(u16 local, u16 remote, u8 opened, struct who *who)
{
	struct ports *all = bpf_map_lookup_elem(&ports, &zero);
	u8 bits;
	if (!all)
		return 0;
	bits = all->bits[local];
	who->role_by = BY_PORT;
	if (bits & LOCAL) {
		who->port = bits;
		return LOCAL;
	}
	bits = all->bits[remote];
	if (bits & PEER) {
		who->port = bits;
		return PEER;
	}
	if (!(all->bits[0] & ALL))
		return 0;
	who->port = 0;
	who->role_by = opened ? BY_OPENING : BY_GUESS;
	if (opened)
		return opened;
	return local < remote ? LOCAL : PEER;
}

always int is_elsewhere(const struct sock_common *sk)
{
	return only_netns && READ_BY(sk, skc_net.net, ns.inum) != only_netns;
}

always void copy_ends(const struct sock_common *sk, struct who *who)
{
	who->family = READ(sk, skc_family) == INET ? 4 : 6;
	__builtin_memset(who->local, 0, 16);
	__builtin_memset(who->remote, 0, 16);
	if (who->family == 4) {
		*(u32 *)who->local = READ(sk, skc_rcv_saddr);
		*(u32 *)who->remote = READ(sk, skc_daddr);
	} else {
		bpf_core_read(who->local, 16, &sk->skc_v6_rcv_saddr);
		bpf_core_read(who->remote, 16, &sk->skc_v6_daddr);
	}
	who->netns = READ_BY(sk, skc_net.net, ns.inum);
}

/* Whoever runs now uses this socket. */
always void copy_process(struct who *who)
{
	who->pid = bpf_get_current_pid_tgid() >> 32;
	who->uid = bpf_get_current_uid_gid();
	who->cgroup = bpf_get_current_cgroup_id();
	bpf_get_current_comm(who->comm, sizeof(who->comm));
}

/* ---- times ---- */

/* The stack keeps most of its times in us, cut off: they lie in the middle of it, half of them before and half after. */
always u64 middle(u64 us)
{
	return us * 1000 + 500;
}

/* When the byte at `seq` was sent; not before `floor`. */
always u64 sent_at(const struct sock *sk, const struct tcp_sock *tp, u32 seq, u64 floor, u8 *from)
{
	u64 first = READ(tp, first_tx_mstamp);
	if ((first + 1) * 1000 > floor) {
		*from = 1;
		first = middle(first);
		return first > floor ? first : floor;
	}
	struct rb_node *node = (void *)BPF_CORE_READ(sk, tcp_rtx_queue.rb_node);
	for (int depth = 0; depth < 24 && node; depth++) {
		struct sk_buff *skb = (void *)node - bpf_core_field_offset(struct sk_buff, rbnode);
		struct tcp_skb_cb *cb = (void *)skb + bpf_core_field_offset(struct sk_buff, cb);
		u32 begin = BPF_CORE_READ(cb, seq), end = BPF_CORE_READ(cb, end_seq);
		if (after(begin, seq)) {
			node = BPF_CORE_READ(node, rb_left);
		} else if (!after(end, seq)) {
			node = BPF_CORE_READ(node, rb_right);
		} else {
			*from = 2;
			return BPF_CORE_READ(skb, skb_mstamp_ns);
		}
	}
	*from = 3;
	return floor;
}

/* When the last of what was sent was: of what is not acknowledged the last, else what was delivered last. */
always u64 last_sent_at(const struct sock *sk, const struct tcp_sock *tp, u64 floor)
{
	struct rb_node *node = (void *)BPF_CORE_READ(sk, tcp_rtx_queue.rb_node);
	u64 at = middle(READ(tp, first_tx_mstamp));
	if (node) {
		for (int depth = 0; depth < 24; depth++) {
			struct rb_node *right = BPF_CORE_READ(node, rb_right);
			if (!right)
				break;
			node = right;
		}
		struct sk_buff *skb = (void *)node - bpf_core_field_offset(struct sk_buff, rbnode);
		at = BPF_CORE_READ(skb, skb_mstamp_ns);
	}
	return at > floor ? at : floor;
}

/* When the last ACK came that acknowledged data. */
always u64 acked_at(const struct tcp_sock *tp, const struct state *st)
{
	u64 at = middle(READ(tp, delivered_mstamp));
	return at > st->t2 ? at : st->t2;
}

/* ---- telling ---- */

always void fill(struct event *e, const struct tcp_sock *tp, const struct state *st, u8 kind, u64 at)
{
	u32 next = READ(tp, snd_nxt), all = READ(tp, total_retrans);
	__builtin_memcpy(&e->who, &st->who, sizeof(e->who));
	e->at = at;
	e->t0 = st->t0;
	e->t1 = st->t1;
	e->t2 = st->t2;
	e->t3 = st->t3;
	e->t4 = 0;
	e->next = 0;
	e->request_bytes = st->request_bytes;
	e->response_bytes = 0;
	e->sent = 0;
	e->received = 0;
	e->task = task_of(st);
	e->unacked = next - READ(tp, snd_una);
	e->unsent = READ(tp, write_seq) - next;
	/* Of our FIN nobody wants to know: it is the last of what was written. */
	if (st->closing & FIN_SENT) {
		if (e->unsent)
			e->unsent--;
		else if (e->unacked)
			e->unacked--;
	}
	e->retransmits = all - st->start_retransmits;
	e->all_retransmits = all - st->base_retransmits;
	e->min_rtt = READ(tp, rtt_min.s[0].v);
	e->srtt = READ(tp, srtt_us) >> 3;
	e->cwnd = READ(tp, snd_cwnd);
	e->mss = READ(tp, mss_cache);
	e->error = 0;
	e->kind = kind;
	e->flags = st->flags | (st->is_adopted ? ADOPTED : 0);
	e->closing = st->closing;
	e->t2_from = st->t2_from;
	e->head_length = 0;
	e->next_length = 0;
	__builtin_memcpy(e->frame_bytes, st->frame_bytes, sizeof(e->frame_bytes));
	__builtin_memcpy(e->frame_us, st->frame_us, sizeof(e->frame_us));
}

/* One that waits is not woken for each: the reader looks by itself some 50 times a second. */
always void submit(void *e)
{
	u64 waiting = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	bpf_ringbuf_submit(e, waiting > wakes_at ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Room for an event; with heads behind it where they are asked for. */
always struct event *reserve(void)
{
	if (peeks)
		return bpf_ringbuf_reserve(&events, sizeof(struct event_with_heads), 0);
	return bpf_ringbuf_reserve(&events, sizeof(struct event), 0);
}

always void fill_heads(struct event *e, const struct state *st)
{
	if (!peeks)
		return;
	struct event_with_heads *with = (void *)e;
	e->head_length = st->head_length;
	e->next_length = st->pending_length;
	__builtin_memcpy(with->head, st->head, HEAD);
	__builtin_memcpy(with->next_head, st->pending, NEXT_HEAD);
}

/* Tells of the task that was under way. */
always void tell_task(const struct sock *sk, const struct tcp_sock *tp, const struct state *st, u8 kind, u64 t4, u64 at,
		      u64 next)
{
	struct event *e = reserve();
	if (!e) {
		COUNT(drops);
		return;
	}
	fill(e, tp, st, kind, at);
	e->t4 = t4;
	e->next = next;
	if (st->who.role == LOCAL)
		e->response_bytes = st->t2 ? sent(tp, st) - st->task_sent : 0;
	else
		e->response_bytes = received(sk, tp) - st->task_received;
	fill_heads(e, st);
	submit(e);
}

/* Tells of the connection. */
always int tell_connection(const struct sock *sk, const struct tcp_sock *tp, const struct state *st, u8 kind, u64 at)
{
	struct event *e = reserve();
	if (!e)
		return 0;
	fill(e, tp, st, kind, at);
	e->sent = sent(tp, st) - st->base_sent;
	e->received = received(sk, tp) - st->base_received;
	e->error = READ(sk, sk_err);
	e->closing |= READ(sk, __sk_common.skc_flags) >> DONE & 1 ? FIN_RECEIVED : 0;
	fill_heads(e, st);
	submit(e);
	return 1;
}

/* Tells of an attempt to connect. */
always void tell_attempt(const struct sock *sk, const struct tcp_sock *tp, const struct state *st, int is_open, u64 at)
{
	struct event *e = reserve();
	if (!e) {
		COUNT(drops);
		return;
	}
	fill(e, tp, st, ATTEMPT, at);
	e->error = READ(sk, sk_err);
	/* Whoever connects may have taken it already (SO_ERROR). */
	if (!e->error)
		e->error = st->error;
	e->flags |= is_open ? OPENED : 0;
	fill_heads(e, st);
	submit(e);
}

/* ---- tasks ---- */

/* The first bytes of what begins at `seq`, if they were seen. */
always void take_head(struct state *st, u32 seq)
{
	if (!peeks)
		return;
	st->head_length = 0;
	if (st->pending_length && st->pending_seq == seq) {
		__builtin_memcpy(st->head, st->pending, HEAD);
		st->head_length = st->pending_length;
	} else {
		COUNT(heads_missed);
	}
	st->pending_length = 0;
}

always void begin_task(const struct tcp_sock *tp, struct state *st, u64 at)
{
	st->t0 = st->t1 = at;
	st->t2 = st->t3 = 0;
	st->t2_from = 0;
	st->flags = 0;
	st->request_bytes = 0;
	st->start_retransmits = READ(tp, total_retrans);
	st->frame = 0;
	__builtin_memset(st->frame_bytes, 0, sizeof(st->frame_bytes));
	__builtin_memset(st->frame_us, 0, sizeof(st->frame_us));
	st->turn = TURN(task_of(st) + 1, REQUEST);
}

/* Server: data has come. */
always void begin_request(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 at)
{
	begin_task(tp, st, at);
	st->task_sent = sent(tp, st);
	st->start_seq = READ(tp, snd_nxt);
	st->task_received = received(sk, tp);
}

/* Server: the request came with the last segment of the handshake, which tcp_probe does not see. */
always void detect_rider(const struct sock *sk, const struct tcp_sock *tp, struct state *st)
{
	if (st->who.role != LOCAL || st->turn || received(sk, tp) == st->base_received)
		return;
	begin_task(tp, st, st->who.began);
	st->flags = EARLY;
	st->task_sent = st->base_sent;
	st->task_received = st->base_received;
	if (peeks) {
		st->head_length = 0;
		COUNT(heads_missed);
	}
}

/* Server: whether the response has begun since. */
always void detect_response(const struct sock *sk, const struct tcp_sock *tp, struct state *st)
{
	u64 turn = st->turn;
	if (st->who.role != LOCAL || (turn & 3) != REQUEST || sent(tp, st) == st->task_sent)
		return;
	st->t2 = sent_at(sk, tp, st->start_seq, st->t1, &st->t2_from);
	u64 now_received = received(sk, tp);
	st->request_bytes = now_received - st->task_received;
	st->task_received = now_received;
	/* If the iterator has told of it meanwhile, it stays so. */
	(void)EXCHANGE(&st->turn, turn, TURN(turn >> 2, RESPONSE));
}

/* Client: whether the next request has been sent since. */
always void detect_request(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 at)
{
	if (st->who.role != PEER || stage_of(st) == REQUEST)
		return;
	u64 now_sent = sent(tp, st);
	if (now_sent == st->task_sent)
		return;
	u64 floor = st->t3 > st->who.began ? st->t3 : st->who.began;
	/* An adopted one began before it was seen. */
	int is_first = st->is_adopted && !st->turn;
	if (is_first)
		floor = 0;
	u8 from = 0;
	u64 t0 = sent_at(sk, tp, st->start_seq, floor, &from);
	if (is_first && t0 < st->who.began)
		st->who.began = t0;
	if (stage_of(st) == RESPONSE && end_task(st))
		tell_task(sk, tp, st, RECEIVED, 0, at, t0);
	take_head(st, st->start_seq);
	begin_task(tp, st, t0);
	st->t2_from = from;
	st->task_received = received(sk, tp);
}

/* Client: the response has begun. */
always void begin_response(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 at)
{
	u64 now_sent = sent(tp, st);
	if (!(st->closing & FIN_SENT))
		st->t1 = last_sent_at(sk, tp, st->t0);
	st->t2 = at;
	st->request_bytes = now_sent - st->task_sent;
	st->task_sent = now_sent;
	st->start_seq = st->expected_seq = READ(tp, snd_nxt);
	st->turn = TURN(task_of(st), RESPONSE);
}

/* Server: which thresholds the ACK at `at` has crossed. */
always void cross(struct state *st, u32 acked, u64 at)
{
	for (int n = 0; n < FRAMES; n++) {
		u32 threshold = thresholds[n];
		if (n != st->frame || !threshold || acked < threshold)
			continue;
		st->frame_bytes[n] = acked;
		st->frame_us[n] = (at - st->t2) / 1000;
		st->frame = n + 1;
	}
}

/* Whether a connection that was there before may be adopted; called for each segment of those that are not. */
always int is_wanted(const struct sock *sk)
{
	struct ports *all = bpf_map_lookup_elem(&ports, &zero);
	u16 local = READ(sk, __sk_common.skc_num), remote = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
	return all && ((all->bits[local] & LOCAL) || (all->bits[remote] & PEER) || (all->bits[0] & ALL));
}

/* It is established: from here bytes are counted. */
always void establish(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 now)
{
	copy_ends(&sk->__sk_common, &st->who);
	st->who.cookie = COOKIE(sk);
	st->who.local_port = READ(sk, __sk_common.skc_num);
	st->who.remote_port = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
	st->who.began = now;
	st->base_sent = st->task_sent = sent(tp, st);
	st->base_received = st->task_received = received(sk, tp);
	st->start_seq = READ(tp, snd_nxt);
	st->expected_seq = st->who.role == LOCAL ? READ(tp, rcv_nxt) : st->start_seq;
}

/* A connection that was there before. */
always struct state *adopt(const struct sock *sk, const struct tcp_sock *tp)
{
	struct who who = {};
	u16 local = READ(sk, __sk_common.skc_num), remote = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
	u8 role = is_elsewhere(&sk->__sk_common) ? 0 : role_of(local, remote, 0, &who);
	if (!role)
		return 0;
	struct state *st = state_new(sk);
	if (!st) {
		COUNT(storage_failed);
		return 0;
	}
	st->who.role = role;
	st->who.role_by = who.role_by;
	st->who.port = who.port;
	st->is_adopted = 1;
	st->base_retransmits = READ(tp, total_retrans);
	establish(sk, tp, st, bpf_ktime_get_ns());
	if (role == PEER) {
		/* What is not acknowledged yet is the request that is under way. */
		u32 una = READ(tp, snd_una);
		st->task_sent -= st->start_seq - una;
		st->base_sent = st->task_sent;
		st->start_seq = una;
	}
	return st;
}

/* A segment is about to be applied to an established socket. */
always int probe(const struct sock *sk, const struct sk_buff *skb)
{
	struct state *st = state_of(sk);
	u32 seq = CB(skb, seq), end = CB(skb, end_seq);
	if (seq == end && st && stage_of(st) == (st->who.role == LOCAL ? RESPONSE : REQUEST) &&
	    !(st->who.port & FIRST_FRAME))
		return 0; /* an ACK, and nothing to learn */
	if (!st && (!wants_tasks || (seq == end && !asks)))
		return 0;
	if (!st && !is_wanted(sk))
		return 0;
	struct tcp_sock *tp = TCP_SOCK(sk);
	if (!tp)
		return 0;
	if (!st) {
		st = adopt(sk, tp);
		if (!st)
			return 0;
	}
	u32 next = READ(tp, rcv_nxt);
	u64 now = bpf_ktime_get_ns();
	detect_rider(sk, tp, st);
	detect_response(sk, tp, st);
	detect_request(sk, tp, st, now);
	if ((st->who.port & FIRST_FRAME) && st->who.role == LOCAL && stage_of(st) == RESPONSE) {
		/* An older ACK may come late, or what was sent before the request is not acknowledged yet. */
		if (after(CB(skb, ack_seq), st->start_seq))
			cross(st, CB(skb, ack_seq) - st->start_seq, now);
	}
	end -= CB_FLAGS(skb) & FIN;
	if (!after(end, seq) || !after(end, next))
		return 0; /* no payload, or none that is new */
	if (after(seq, next)) {
		st->flags |= REORDERED; /* what comes in order counts when it does */
		return 0;
	}
	u8 reordered = READ(tp, out_of_order_queue.rb_node) ? REORDERED : 0;
	if (st->who.role == LOCAL) {
		u8 queued = 0;
		if (stage_of(st) == RESPONSE) {
			u32 una = READ(tp, snd_una), sent_to = READ(tp, snd_nxt);
			u64 t4 = una == sent_to ? acked_at(tp, st) : now;
			if (READ(tp, write_seq) != sent_to || (after(sent_to, una) && after(sent_to, CB(skb, ack_seq)))) {
				/* It was sent before the response had come. */
				t4 = 0;
				queued = QUEUED;
			}
			if (end_task(st))
				tell_task(sk, tp, st, ANSWERED, t4, now, now);
		}
		if (stage_of(st) == NONE) {
			begin_request(sk, tp, st, now);
			st->flags = queued;
			take_head(st, seq);
		} else {
			st->t1 = now;
		}
		st->expected_seq = end;
		st->flags |= reordered;
	} else if (stage_of(st) != NONE) {
		if (stage_of(st) == REQUEST)
			begin_response(sk, tp, st, now);
		st->t3 = now;
		st->flags |= reordered;
	}
	return 0;
}

/* Client: tcp_probe sees established sockets only. What came after its FIN is seen when it is read, or here. */
always void detect_rest(const struct sock *sk, const struct tcp_sock *tp, struct state *st)
{
	if (st->who.role != PEER || !(st->closing & FIN_SENT) || stage_of(st) == NONE)
		return;
	u64 now_received = received(sk, tp);
	if (now_received == st->seen_received)
		return;
	/* When the last segment came. */
	u64 at = middle(READ(tp, tcp_mstamp));
	st->seen_received = now_received;
	if (stage_of(st) == REQUEST)
		begin_response(sk, tp, st, at);
	st->t3 = at;
}

/* The connection is over. Not inlined: it is long, and called from four places. */
static __noinline int finish(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 now)
{
	detect_rider(sk, tp, st);
	detect_response(sk, tp, st);
	detect_request(sk, tp, st, now);
	detect_rest(sk, tp, st);
	if (st->who.role == LOCAL && stage_of(st) == REQUEST) {
		st->request_bytes = received(sk, tp) - st->task_received;
		if (end_task(st))
			tell_task(sk, tp, st, CLOSED_RECEIVING, 0, now, 0);
	} else if (st->who.role == LOCAL && stage_of(st) == RESPONSE) {
		u64 all = sent(tp, st);
		u64 acked = READ(tp, bytes_acked);
		u64 unsent = READ(tp, write_seq) - READ(tp, snd_nxt);
		/* Of our FIN nobody cares. */
		if (st->closing & FIN_SENT && unsent)
			unsent--;
		u64 t4 = st->latched && st->latched_sent == all ? st->latched : acked_at(tp, st);
		/* tcp_probe does not see what is acknowledged after our FIN. */
		if (acked > all)
			acked = all;
		if ((st->who.port & FIRST_FRAME) && acked > st->task_sent)
			cross(st, acked - st->task_sent, t4);
		if (end_task(st)) {
			if (all > acked || unsent)
				tell_task(sk, tp, st, CLOSED_SENDING, 0, now, 0);
			else
				tell_task(sk, tp, st, ANSWERED, t4, now, 0);
		}
	} else if (st->who.role == PEER && stage_of(st) == RESPONSE) {
		if (end_task(st))
			tell_task(sk, tp, st, RECEIVED, 0, now, 0);
	} else if (st->who.role == PEER && stage_of(st) == REQUEST) {
		st->request_bytes = sent(tp, st) - st->task_sent;
		if (end_task(st))
			tell_task(sk, tp, st, CLOSED_WAITING, 0, now, 0);
	}
	/* Data that comes for a process that has left is answered with a RST, which is sent when all is over; and it may look as
	 * if one had come (tcp_rcv_state_process: TCPABORTONDATA). */
	u64 flags = READ(sk, __sk_common.skc_flags);
	if ((st->closing & FIN_SENT) && (flags >> DEAD & 1) && !(flags >> DONE & 1) &&
	    READ(tp, data_segs_in) != st->segments_at_fin && READ(sk, sk_err) != TIMED_OUT)
		st->closing = (st->closing & ~RST_RECEIVED) | RST_SENT;
	if (!tell_connection(sk, tp, st, CONNECTION, now))
		COUNT(drops);
	state_gone(sk);
	return 0;
}

/* Both ends have said that they are done, and ours has nothing more to send. */
always int is_over(const struct sock *sk, const struct tcp_sock *tp, const struct state *st)
{
	return (st->closing & FIN_SENT) && (READ(sk, __sk_common.skc_flags) >> DONE & 1) &&
	       READ(tp, snd_nxt) == READ(tp, write_seq);
}

always int state_changed(const struct sock *sk, int old, int new)
{
	if (READ(sk, sk_protocol) != TCP)
		return 0;
	u64 now = bpf_ktime_get_ns();
	struct tcp_sock *tp = TCP_SOCK(sk);
	struct state *st = state_of(sk);
	u8 is_child = 0;
	if (!tp)
		return 0;
	/* It was used before, which is over (connect() to AF_UNSPEC). */
	if (st && new == SYN_SENT) {
		state_gone(sk);
		st = 0;
	}
	if (!st) {
		if (new != SYN_SENT && !(new == ESTABLISHED && old == SYN_RECV))
			return 0;
		struct who who = {};
		u16 local = READ(sk, __sk_common.skc_num), remote = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
		u8 opened = new == SYN_SENT ? PEER : LOCAL;
		u8 role = is_elsewhere(&sk->__sk_common) ? 0 : role_of(local, remote, opened, &who);
		if (!role)
			return 0;
		st = state_new(sk);
		if (!st) {
			COUNT(storage_failed);
			return 0;
		}
		st->who.role = role;
		st->who.role_by = who.role_by;
		st->who.port = who.port;
		establish(sk, tp, st, now);
		if (new == SYN_SENT) {
			copy_process(&st->who);
			return 0;
		}
		is_child = 1;
	}
	/* Both ends connect to each other (RFC 9293 s3.5): it goes on. */
	if (old == SYN_SENT && new == SYN_RECV)
		return 0;
	if (old == SYN_SENT || old == SYN_RECV) {
		/* The attempt is over. Its port is known by now, or still. */
		if (new == CLOSE) {
			st->who.local_port = __builtin_bswap16(READ(tp, inet_conn.icsk_inet.inet_sport));
			copy_ends(&sk->__sk_common, &st->who);
		} else {
			u64 began = st->who.began;
			establish(sk, tp, st, began);
			/* Data may have gone and come with the SYN (fast open). It counts itself at the end that connected. */
			st->base_sent = st->task_sent = !is_child;
			st->start_seq -= sent(tp, st) - st->base_sent;
			st->base_received = st->task_received = 0;
			if (st->who.role == PEER)
				st->expected_seq = st->start_seq;
		}
		if (wants_attempts)
			tell_attempt(sk, tp, st, new == ESTABLISHED, now);
		if (new == ESTABLISHED && wants_tasks) {
			st->who.began = now;
			st->start_retransmits = READ(tp, total_retrans);
		} else {
			state_gone(sk);
		}
		return 0;
	}
	detect_rider(sk, tp, st);
	detect_response(sk, tp, st);
	detect_request(sk, tp, st, now);
	if (st->who.role == LOCAL && stage_of(st) == RESPONSE && READ(tp, snd_una) == READ(tp, snd_nxt) &&
	    !(st->closing & FIN_SENT)) {
		st->latched = acked_at(tp, st);
		st->latched_sent = sent(tp, st);
	}
	if (new == FIN_WAIT1 || new == LAST_ACK) {
		/* It will be the last that was sent. */
		if (st->who.role == PEER && stage_of(st) == REQUEST)
			st->t1 = last_sent_at(sk, tp, st->t0);
		st->closing |= new == FIN_WAIT1 ? FIN_SENT | FIN_FIRST : FIN_SENT;
		st->seen_received = received(sk, tp);
		st->segments_at_fin = READ(tp, data_segs_in);
	}
	/* It was ended from outside, or by both. When the process closes its socket is of no interest. */
	if (new == CLOSE && ((st->closing & RST_RECEIVED) || READ(sk, sk_err) || is_over(sk, tp, st)))
		return finish(sk, tp, st, now);
	return 0;
}

/* A process has read from the socket. */
always int was_read(const struct sock *sk)
{
	struct state *st = state_of(sk);
	if (!st)
		return 0;
	if (!st->who.pid)
		copy_process(&st->who);
	if (!(st->closing & FIN_SENT))
		return 0;
	struct tcp_sock *tp = TCP_SOCK(sk);
	if (tp)
		detect_rest(sk, tp, st);
	return 0;
}

always int destroy(const struct sock *sk)
{
	struct state *st = state_of(sk);
	struct tcp_sock *tp = TCP_SOCK(sk);
	if (!st || !tp)
		return 0;
	return finish(sk, tp, st, bpf_ktime_get_ns());
}

/* An error is reported, also one that ends nothing by itself: an ICMP error while the process holds the socket. */
always int was_told(const struct sock *sk)
{
	struct state *st = state_of(sk);
	if (!st || READ(sk, sk_protocol) != TCP)
		return 0;
	st->error = READ(sk, sk_err);
	if (!st->error)
		st->error = READ(sk, sk_err_soft);
	/* What ICMP said is told before it is noted (tcp_v4_err). */
	if (!st->error && READ(sk, __sk_common.skc_state) == SYN_SENT) {
		const void *queue = (void *)sk + bpf_core_field_offset(struct sock, sk_error_queue);
		struct sk_buff *skb = BPF_CORE_READ(sk, sk_error_queue.prev);
		struct sock_exterr_skb *error = (void *)skb + bpf_core_field_offset(struct sk_buff, cb);
		if (skb && (void *)skb != queue)
			st->error = BPF_CORE_READ(error, ee.ee_errno);
	}
	return 0;
}

always int was_reset(const struct sock *sk, u8 how)
{
	struct state *st = state_of(sk);
	if (!st)
		return 0;
	st->closing |= how;
	/* A process that closes is in that state before the RST goes out, and may keep the socket (tcp_disconnect). */
	if (READ(sk, __sk_common.skc_state) != CLOSE)
		return 0;
	struct tcp_sock *tp = TCP_SOCK(sk);
	return tp ? finish(sk, tp, st, bpf_ktime_get_ns()) : 0;
}

/* ---- attempts without a socket of their own ---- */

/* A SYN-ACK was sent again. */
always int synack_again(const struct request_sock *req)
{
	const struct sock_common *ends = &req->__req_common;
	struct who who = {};
	u16 local = READ(ends, skc_num), remote = __builtin_bswap16(READ(ends, skc_dport));
	if (!wants_attempts || is_elsewhere(ends) || role_of(local, remote, LOCAL, &who) != LOCAL)
		return 0;
	struct event *e = reserve();
	if (!e) {
		COUNT(drops);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->who.role = LOCAL;
	e->who.role_by = who.role_by;
	e->who.port = who.port;
	copy_ends(ends, &e->who);
	e->who.local_port = local;
	e->who.remote_port = remote;
	e->at = e->who.began = bpf_ktime_get_ns();
	e->kind = SYNACK_AGAIN;
	e->all_retransmits = READ(req, num_retrans);
	submit(e);
	return 0;
}

/* A RST is sent for a segment that no socket takes: if it is a SYN, nobody listens. */
always int refuse(const struct sk_buff *skb)
{
	struct who who = {};
	struct {
		u16 source, destination;
		u32 seq, ack;
		u8 offset, flags;
	} tcp = {};
	u8 ip[40] = {};
	if (!wants_attempts || !skb)
		return 0;
	struct net_device *dev = READ(skb, dev);
	u32 netns = READ_BY(dev, nd_net.net, ns.inum);
	if (only_netns && netns != only_netns)
		return 0;
	unsigned char *head = READ(skb, head);
	bpf_probe_read_kernel(&tcp, 14, head + READ(skb, transport_header));
	if ((tcp.flags & (SYN | ACK)) != SYN)
		return 0;
	u16 local = __builtin_bswap16(tcp.destination), remote = __builtin_bswap16(tcp.source);
	if (role_of(local, remote, LOCAL, &who) != LOCAL)
		return 0;
	bpf_probe_read_kernel(ip, 40, head + READ(skb, network_header));
	struct event *e = reserve();
	if (!e) {
		COUNT(drops);
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->who.role = LOCAL;
	e->who.role_by = who.role_by;
	e->who.port = who.port;
	e->who.netns = netns;
	e->who.local_port = local;
	e->who.remote_port = remote;
	if (ip[0] >> 4 == 4) {
		e->who.family = 4;
		__builtin_memcpy(e->who.remote, ip + 12, 4);
		__builtin_memcpy(e->who.local, ip + 16, 4);
	} else {
		e->who.family = 6;
		__builtin_memcpy(e->who.remote, ip + 8, 16);
		__builtin_memcpy(e->who.local, ip + 24, 16);
	}
	e->at = e->who.began = bpf_ktime_get_ns();
	e->kind = REFUSED_HERE;
	submit(e);
	return 0;
}

#endif
