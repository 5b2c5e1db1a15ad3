/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* When the first segment of a request or response, and the last, goes to the device: behind the queue, where tcpdump sees
 * it, and not before, where the stack stamps it. That takes a program per packet sent, so it is attached only where it is
 * asked for. */
#ifndef TCPLENS_LEAVING_H
#define TCPLENS_LEAVING_H

#include "sockets.h"

/* TCP header, up to its length (RFC 9293 section 3.1). */
struct tcp_start {
	u16 ports[2];
	u32 seq, ack;
	u8 offset;
	u8 flags;
};

/* In `left`: the byte may have left before anybody looked. */
#define UNSEEN 1

/* A packet goes to a device. Not under the socket's lock, and not always for the first time: of several devices one upon
 * another the first counts, and of repeats. */
always int leaves(const struct sk_buff *skb)
{
	struct sock *sk = READ(skb, sk);
	struct tcp_start tcp;
	struct state *st;
	unsigned char *head, *data;
	u32 before, seq, end;
	u64 now;
	if (!sk)
		return 0;
	/* In these it is another kind of socket, or has no state. */
	u8 state = READ(sk, __sk_common.skc_state);
	if (state == TIME_WAIT || state == NEW_SYN_RECV || state == LISTEN || READ(sk, sk_protocol) != TCP)
		return 0;
	st = state_of(sk);
	if (!st)
		return 0;
	head = READ(skb, head) + READ(skb, transport_header);
	data = READ(skb, data);
	if (bpf_probe_read_kernel(&tcp, sizeof(tcp), head))
		return 0;
	before = head - data + (tcp.offset >> 4) * 4;
	if (READ(skb, len) <= before)
		return 0;
	now = bpf_ktime_get_ns();
	seq = __builtin_bswap32(tcp.seq);
	end = seq + READ(skb, len) - before;
	if (!st->last_left || after(end, st->last_left_end)) {
		/* Whoever sees the end sees when that left, or later. */
		st->last_left = now;
		barrier();
		st->last_left_end = end;
	}
	if (seq != st->start_seq || (st->left && st->left_seq == seq))
		return 0;
	st->left_seq = seq;
	st->left = now;
	return 0;
}

/* Whether it is known when the first byte of a task's own left, which is at start_seq. */
always int has_left(const struct state *st)
{
	return at_device && st->left > UNSEEN && st->left_seq == st->start_seq;
}

/* When it left, if that is known; not before `floor`. */
always u64 left_at(const struct state *st, u64 floor)
{
	return has_left(st) && st->left > floor ? st->left : floor;
}

/* The same; where it is not known, when the stack sent it. */
always u64 begun_at(const struct sock *sk, const struct tcp_sock *tp, const struct state *st, u64 floor)
{
	u64 at = left_at(st, floor);
	return at > floor ? at : sent_at(sk, tp, st->start_seq, floor);
}

/* Whether begun_at() can tell: nothing of it is acknowledged yet, or it was one segment. Afterwards the stack knows when the
 * last of what was acknowledged was sent. */
always int is_begun_known(const struct tcp_sock *tp, const struct state *st)
{
	return has_left(st) || !after(READ(tp, snd_una), st->start_seq) ||
	       READ(tp, data_segs_out) - st->start_segments <= 1;
}

/* When the last byte of a task's own left, so far as that is all that was sent; not before `floor`. 0: it is not known. */
always u64 last_left_at(const struct tcp_sock *tp, const struct state *st, u64 floor)
{
	u32 next = READ(tp, snd_nxt);
	u32 end = next - ((st->closing & FIN_SENT) && next == READ(tp, write_seq));
	if (!st->last_left || st->last_left_end != end)
		return 0;
	return st->last_left > floor ? st->last_left : floor;
}

/* Server: when the last of its response, which begins at `t2`, was sent; by the stack's stamps the last time, where something
 * of several segments was sent again. One segment began and ended at once. */
always u64 response_sent_at(const struct sock *sk, const struct tcp_sock *tp, const struct state *st, u64 t2)
{
	u64 at;
	if (at_device && (at = last_left_at(tp, st, t2)))
		return at;
	/* Of what is repeated after our FIN the stack's stamp may be the FIN's. */
	if (st->t3 && st->t3_sent == (u32)sent(tp, st))
		return st->t3 > t2 ? st->t3 : t2;
	u32 segments = READ(tp, data_segs_out) - st->start_segments, repeats = READ(tp, total_retrans) - st->start_retransmits;
	if (!(st->closing & FIN_SENT) && segments - repeats <= 1)
		return t2;
	return last_sent_at(sk, tp, t2);
}

#endif
