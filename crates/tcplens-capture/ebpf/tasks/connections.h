/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* From the first state of a connection to its last, and what befalls it in between. */
#ifndef TCPLENS_CONNECTIONS_H
#define TCPLENS_CONNECTIONS_H

#include "tasks.h"

/* Client: tcp_probe sees established sockets only. What came after its FIN is seen when it is read, or here. */
always void detect_rest(const struct sock *sk, const struct tcp_sock *tp, struct state *st)
{
	if (st->who.role != PEER || !(st->closing & FIN_SENT) || stage_of(st) == NONE)
		return;
	u32 now_received = received(sk, tp, st);
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
	went_on(sk, tp, st);
	if (st->who.role == LOCAL && stage_of(st) == REQUEST) {
		st->request_bytes = received(sk, tp, st) - st->task_received;
		if (end_task(st))
			tell_task(sk, tp, st, CLOSED_RECEIVING, 0, now, 0);
	} else if (st->who.role == LOCAL && stage_of(st) == RESPONSE) {
		u64 all = sent(tp, st);
		u64 acked = READ(tp, bytes_acked);
		u64 unsent = READ(tp, write_seq) - READ(tp, snd_nxt);
		/* Of our FIN nobody cares. */
		if (st->closing & FIN_SENT && unsent)
			unsent--;
		u64 t4 = st->latched && st->latched_sent == (u32)all ? st->latched : acked_at(tp, st);
		/* tcp_probe does not see what is acknowledged after our FIN. */
		if (acked > all)
			acked = all;
		if (st->who.port & FIRST_FRAME)
			cross(st, acked, t4);
		if (end_task(st)) {
			if (all > acked || unsent) {
				st->t3 = 0;
				tell_task(sk, tp, st, CLOSED_SENDING, 0, now, 0);
			} else {
				st->t3 = response_sent_at(sk, tp, st, st->t2);
				tell_task(sk, tp, st, ANSWERED, t4, now, 0);
			}
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
		st->rides = READ(tp, data_segs_in) > 0;
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
		if (!at_device && st->who.role == PEER && stage_of(st) == REQUEST)
			st->t1 = last_sent_at(sk, tp, st->t0);
		if (st->who.role == LOCAL && stage_of(st) == RESPONSE && !(st->closing & FIN_SENT)) {
			st->t3 = response_sent_at(sk, tp, st, st->t2);
			st->t3_sent = sent(tp, st);
		}
		st->closing |= new == FIN_WAIT1 ? FIN_SENT | FIN_FIRST : FIN_SENT;
		st->seen_received = received(sk, tp, st);
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
	struct tcp_sock *tp = TCP_SOCK(sk);
	if (!st->who.pid)
		copy_process(&st->who);
	if (!tp)
		return 0;
	catch_up(sk, tp, st);
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

#endif
