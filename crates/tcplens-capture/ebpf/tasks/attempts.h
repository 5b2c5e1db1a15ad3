/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* Attempts to connect that have no socket of their own yet. */
#ifndef TCPLENS_ATTEMPTS_H
#define TCPLENS_ATTEMPTS_H

#include "connections.h"

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
