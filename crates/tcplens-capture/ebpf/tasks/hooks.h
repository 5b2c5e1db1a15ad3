/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* The programs on tracepoints. HOOK says of which kind. */
#ifndef TCPLENS_HOOKS_H
#define TCPLENS_HOOKS_H

#include "attempts.h"

SEC(HOOK "tcp_probe")
int BPF_PROG(tl_probe, struct sock *sk, struct sk_buff *skb)
{
	return probe(sk, skb);
}

SEC(HOOK "inet_sock_set_state")
int BPF_PROG(tl_state, struct sock *sk, int old, int new)
{
	return state_changed(sk, old, new);
}

SEC(HOOK "tcp_destroy_sock")
int BPF_PROG(tl_destroy, struct sock *sk)
{
	return destroy(sk);
}

SEC(HOOK "tcp_rcv_space_adjust")
int BPF_PROG(tl_read, struct sock *sk)
{
	return was_read(sk);
}

SEC(HOOK "inet_sk_error_report")
int BPF_PROG(tl_error, struct sock *sk)
{
	return was_told(sk);
}

SEC(HOOK "tcp_receive_reset")
int BPF_PROG(tl_reset_in, struct sock *sk)
{
	return was_reset(sk, RST_RECEIVED);
}

SEC(HOOK "tcp_send_reset")
int BPF_PROG(tl_reset_out, struct sock *sk, struct sk_buff *skb)
{
	/* It is another kind of socket behind a request or a TIME_WAIT: these have no state. */
	if (!sk)
		return refuse(skb);
	u8 state = READ(sk, __sk_common.skc_state);
	if (state == NEW_SYN_RECV || state == TIME_WAIT)
		return 0;
	return was_reset(sk, RST_SENT);
}

SEC(HOOK "tcp_retransmit_synack")
int BPF_PROG(tl_synack, struct sock *sk, struct request_sock *req)
{
	return synack_again(req);
}

SEC(HOOK "net_dev_start_xmit")
int BPF_PROG(tl_leaves, struct sk_buff *skb)
{
	return leaves(skb);
}

#endif
