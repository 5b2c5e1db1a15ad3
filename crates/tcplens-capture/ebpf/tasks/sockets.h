/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* What a socket tells: payload counts, role, ends, process, and when things were sent and acknowledged. */
#ifndef TCPLENS_SOCKETS_H
#define TCPLENS_SOCKETS_H

#include "maps.h"

/* Payload sent: without our FIN, which lies at the very end of what was written. */
always u64 sent(const struct tcp_sock *tp, const struct state *st)
{
	u32 next = READ(tp, snd_nxt);
	u64 all = READ(tp, bytes_acked) + (u32)(next - READ(tp, snd_una));
	return all - ((st->closing & FIN_SENT) && next == READ(tp, write_seq));
}

/* The peer's FIN has come: 1, which it counts in what was received. */
always u32 fin_of_peer(const struct sock *sk)
{
	return READ(sk, __sk_common.skc_flags) >> DONE & 1;
}

/* Payload received: without the peer's FIN. */
always u64 received(const struct sock *sk, const struct tcp_sock *tp, const struct state *st)
{
	return READ(tp, bytes_received) - fin_of_peer(sk) - st->unseen;
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
always u64 sent_at(const struct sock *sk, const struct tcp_sock *tp, u32 seq, u64 floor)
{
	u64 first = READ(tp, first_tx_mstamp);
	if ((first + 1) * 1000 > floor) {
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
			return BPF_CORE_READ(skb, skb_mstamp_ns);
		}
	}
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

#endif
