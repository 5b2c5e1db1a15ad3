/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* Events, from the state of a connection to the ring buffer. */
#ifndef TCPLENS_TELL_H
#define TCPLENS_TELL_H

#include "leaving.h"

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
	if (READ(tp, chrono_stat[RWND_LIMITED]) != st->start_held)
		e->flags |= HELD;
	e->closing = st->closing;
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
	if (only_connections)
		return;
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
		e->response_bytes = received(sk, tp, st) - st->task_received;
	if (at_device && st->who.role == LOCAL && st->t2 && (!has_left(st) || (st->t3 && !last_left_at(tp, st, st->t2))))
		COUNT(times_missed);
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
	e->received = received(sk, tp, st) - st->base_received;
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

#endif
