/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* The state machine of a connection: tasks, from what the stack itself stamps.
 *
 * There is no program per packet sent, unless times at the device are asked for (leaving.h). tcp_probe fires before a
 * received segment is applied: if snd_nxt has moved since the task began, the response has, too, and first_tx_mstamp is
 * still the time its first segment was sent. delivered_mstamp is the time of the last ACK that delivered data.
 *
 * Who includes it says how fields are read (READ, READ_BY through a pointer, CB, CB_FLAGS), how a socket becomes a tcp_sock
 * (TCP_SOCK), what its number is (COOKIE), where states are (state_of, state_new, state_gone), and how what two may change
 * is changed (EXCHANGE). */
#ifndef TCPLENS_TASKS_H
#define TCPLENS_TASKS_H

#include "tell.h"

/* Ends the task under way; false: the iterator did. */
always int end_task(struct state *st)
{
	u64 turn = st->turn;
	return (turn & 3) != NONE && EXCHANGE(&st->turn, turn, turn & ~3ull);
}

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

/* What the iterator told of may have gone on since. */
always void went_on(const struct sock *sk, const struct tcp_sock *tp, struct state *st)
{
	if (!st->told_task || st->told_task != task_of(st) || stage_of(st) != NONE)
		return;
	if (st->told != (u32)(st->who.role == LOCAL ? sent(tp, st) : received(sk, tp, st))) {
		COUNT(told_early);
		st->told_task = 0;
	}
}

always void begin_task(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 at)
{
	went_on(sk, tp, st);
	st->t0 = st->t1 = at;
	st->t2 = st->t3 = 0;
	st->flags = 0;
	st->request_bytes = 0;
	st->start_retransmits = READ(tp, total_retrans);
	st->start_held = READ(tp, chrono_stat[RWND_LIMITED]);
	st->start_segments = READ(tp, data_segs_out);
	st->frame = 0;
	__builtin_memset(st->frame_bytes, 0, sizeof(st->frame_bytes));
	__builtin_memset(st->frame_us, 0, sizeof(st->frame_us));
	st->turn = TURN(task_of(st) + 1, REQUEST);
}

/* Server: data has come. */
always void begin_request(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 at)
{
	begin_task(sk, tp, st, at);
	st->task_sent = sent(tp, st);
	st->start_seq = READ(tp, snd_nxt);
	st->task_received = received(sk, tp, st);
}

/* Server: the request came with the last segment of the handshake, which tcp_probe does not see. */
always void detect_rider(const struct sock *sk, const struct tcp_sock *tp, struct state *st)
{
	if (st->who.role != LOCAL || st->turn || received(sk, tp, st) == st->base_received)
		return;
	begin_task(sk, tp, st, st->who.began);
	st->start_segments = 0;
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
	if (st->who.role != LOCAL)
		return;
	if ((turn & 3) == RESPONSE)
		st->t2 = left_at(st, st->t2); /* it was still in the queue */
	if ((turn & 3) != REQUEST || sent(tp, st) == st->task_sent)
		return;
	st->t2 = begun_at(sk, tp, st, st->t1);
	if (!is_begun_known(tp, st))
		st->flags |= NO_T2;
	u64 now_received = received(sk, tp, st);
	st->request_bytes = now_received - st->task_received;
	st->task_received = now_received;
	/* If the iterator has told of it meanwhile, it stays so. */
	(void)EXCHANGE(&st->turn, turn, TURN(turn >> 2, RESPONSE));
}

/* Client: whether the next request has been sent since. */
always void detect_request(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 at)
{
	if (st->who.role != PEER)
		return;
	if (stage_of(st) == REQUEST) {
		st->t0 = left_at(st, st->t0); /* it was still in the queue */
		return;
	}
	u64 now_sent = sent(tp, st);
	if (now_sent == st->task_sent)
		return;
	u64 floor = st->t3 > st->who.began ? st->t3 : st->who.began;
	/* An adopted one began before it was seen. */
	int is_first = st->is_adopted && !st->turn;
	if (is_first)
		floor = 0;
	u64 t0 = begun_at(sk, tp, st, floor);
	u8 flags = is_begun_known(tp, st) ? 0 : HELD;
	if (is_first && t0 < st->who.began)
		st->who.began = t0;
	if (stage_of(st) == RESPONSE && end_task(st))
		tell_task(sk, tp, st, RECEIVED, 0, at, t0);
	take_head(st, st->start_seq);
	begin_task(sk, tp, st, t0);
	st->flags = flags;
	st->task_received = received(sk, tp, st);
}

/* Client: the response has begun. */
always void begin_response(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 at)
{
	u64 now_sent = sent(tp, st);
	if (at_device) {
		if (!has_left(st))
			COUNT(times_missed);
		st->t0 = left_at(st, st->t0);
		st->t1 = last_left_at(tp, st, st->t0);
	} else if (!(st->closing & FIN_SENT)) {
		st->t1 = last_sent_at(sk, tp, st->t0);
	}
	st->t2 = at;
	st->request_bytes = now_sent - st->task_sent;
	st->task_sent = now_sent;
	st->start_seq = st->expected_seq = READ(tp, snd_nxt);
	st->start_segments = READ(tp, data_segs_out);
	st->turn = TURN(task_of(st), RESPONSE);
}

/* Server: which thresholds have been crossed now that so much of all that was sent is acknowledged, since `at`. */
always void cross(struct state *st, u64 acked_in_all, u64 at)
{
	/* What was sent before the request may not be acknowledged yet. */
	if (acked_in_all <= st->task_sent)
		return;
	u64 acked = acked_in_all - st->task_sent;
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

/* Beyond all that may wait behind a hole. */
#define UNKNOWN (1u << 30)

/* It is established: from here bytes are counted. */
always void establish(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 now)
{
	copy_ends(&sk->__sk_common, &st->who);
	st->who.cookie = COOKIE(sk);
	st->who.local_port = READ(sk, __sk_common.skc_num);
	st->who.remote_port = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
	st->who.began = now;
	st->base_sent = st->task_sent = sent(tp, st);
	st->base_received = st->task_received = received(sk, tp, st);
	st->start_seq = READ(tp, snd_nxt);
	st->seen_seq = READ(tp, rcv_nxt);
	st->expected_seq = st->who.role == LOCAL ? st->seen_seq : st->start_seq;
	/* Of what waits behind a hole already nobody knows how far it goes. */
	if (READ(tp, out_of_order_queue.rb_node))
		st->seen_seq += UNKNOWN;
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
		if (st->start_seq != una) {
			st->left_seq = una;
			st->left = UNSEEN;
		}
		st->task_sent -= st->start_seq - una;
		st->base_sent = st->task_sent;
		st->start_seq = una;
	}
	return st;
}

/* Payload has come in order, at `at`, up to `end`; what it acknowledges is up to `ack`. */
always void data_came(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 at, u64 now, u32 seq, u32 end,
		      u32 ack)
{
	u8 reordered = READ(tp, out_of_order_queue.rb_node) ? REORDERED : 0;
	if (st->who.role == LOCAL) {
		u8 queued = 0;
		if (stage_of(st) == RESPONSE) {
			u32 una = READ(tp, snd_una), sent_to = READ(tp, snd_nxt);
			u64 t4 = una == sent_to ? acked_at(tp, st) : at;
			if (READ(tp, write_seq) != sent_to || (after(sent_to, una) && after(sent_to, ack))) {
				/* It was sent before the response had come. */
				t4 = 0;
				queued = QUEUED;
			}
			if (end_task(st)) {
				st->t3 = queued ? 0 : response_sent_at(sk, tp, st, st->t2);
				tell_task(sk, tp, st, ANSWERED, t4, now, at);
			}
		}
		if (stage_of(st) == NONE) {
			begin_request(sk, tp, st, at);
			st->flags = queued;
			take_head(st, seq);
		} else {
			st->t1 = at;
		}
		st->expected_seq = end;
		st->flags |= reordered;
	} else if (stage_of(st) != NONE) {
		if (stage_of(st) == REQUEST)
			begin_response(sk, tp, st, at);
		st->t3 = at;
		st->flags |= reordered;
	}
}

/* What the program on tcp_probe was not shown, for the kernel does not always run it, is here. It came at the latest when the
 * stack did something for the socket last, mostly just that; and what it acknowledges is acknowledged. Not inlined: it is
 * rare. */
static __noinline int catch_up(const struct sock *sk, const struct tcp_sock *tp, struct state *st)
{
	u32 end = READ(tp, rcv_nxt) - fin_of_peer(sk), seq = st->seen_seq;
	if (!after(end, seq) || (!st->turn && st->rides) || (st->closing & FIN_SENT))
		return 0;
	u64 at = middle(READ(tp, tcp_mstamp)), now = bpf_ktime_get_ns();
	st->unseen = end - seq;
	detect_response(sk, tp, st);
	detect_request(sk, tp, st, now);
	data_came(sk, tp, st, at, now, seq, end, READ(tp, snd_una));
	st->unseen = 0;
	st->seen_seq = end;
	return 0;
}

/* A segment is about to be applied to an established socket. */
always int probe(const struct sock *sk, const struct sk_buff *skb)
{
	struct state *st = state_of(sk);
	u32 seq = CB(skb, seq), end = CB(skb, end_seq);
	if (skips && seq != end && end % skips == 0)
		return 0;
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
	/* What waited behind a hole when it was adopted has come. */
	if (after(st->seen_seq, next + UNKNOWN / 2) && !READ(tp, out_of_order_queue.rb_node))
		st->seen_seq = next;
	if (after(next, st->seen_seq)) {
		/* One that has interrupted this program on its processor, say, and that nobody has read: the stack may have done
		 * something else since. Or a rider. */
		if (st->turn || !st->rides) {
			COUNT(probes_missed);
			catch_up(sk, tp, st);
		}
		st->seen_seq = next;
	}
	detect_rider(sk, tp, st);
	detect_response(sk, tp, st);
	detect_request(sk, tp, st, now);
	if ((st->who.port & FIRST_FRAME) && st->who.role == LOCAL && stage_of(st) == RESPONSE) {
		/* This ACK is not applied yet, if it is new at all. */
		u32 una = READ(tp, snd_una), ack = CB(skb, ack_seq);
		cross(st, READ(tp, bytes_acked) + (after(ack, una) ? ack - una : 0), now);
	}
	end -= CB_FLAGS(skb) & FIN;
	if (!after(end, seq) || !after(end, next))
		return 0; /* no payload, or none that is new */
	if (after(end, st->seen_seq))
		st->seen_seq = end;
	if (after(seq, next)) {
		st->flags |= REORDERED; /* what comes in order counts when it does */
		return 0;
	}
	data_came(sk, tp, st, now, now, seq, end, CB(skb, ack_seq));
	return 0;
}

#endif
