/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* When the first segment of a request or response goes to the device: behind the queue, where tcpdump sees it, and not
 * before, where the stack stamps it. That takes a program per packet sent, so it is attached only where it is asked for. */
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

/* A packet goes to a device. Not under the socket's lock, and maybe not for the first time: of several devices, and of
 * repeats, the first counts. */
always int leaves(const struct sk_buff *skb)
{
	struct sock *sk = READ(skb, sk);
	struct tcp_start tcp;
	struct state *st;
	unsigned char *head, *data;
	u32 before;
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
	u32 seq = __builtin_bswap32(tcp.seq);
	if (seq != st->start_seq || READ(skb, len) <= before || (st->left && st->left_seq == seq))
		return 0;
	st->left_seq = seq;
	st->left = bpf_ktime_get_ns();
	return 0;
}

/* The first byte of a task's own, at start_seq, was sent when it left, if that is known and not before `floor`. */
always u64 left_at(const struct state *st, u64 floor)
{
	return at_device && st->left_seq == st->start_seq && st->left > floor ? st->left : floor;
}

/* The same; where it is not known, when the stack sent it. */
always u64 begun_at(const struct sock *sk, const struct tcp_sock *tp, const struct state *st, u64 floor)
{
	u64 at = left_at(st, floor);
	return at > floor ? at : sent_at(sk, tp, st->start_seq, floor);
}

#endif
