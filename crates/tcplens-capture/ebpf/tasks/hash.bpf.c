/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* For Linux 5.8 to 5.11, and for kernels that refuse the other: raw tracepoints, states in a hash by the socket's address,
 * every field read by a call. What it lacks: an iterator (idle connections do not tell of their last request), first bytes
 * of requests. */
#include "state.h"

#define READ(p, field) BPF_CORE_READ(p, field)
#define READ_BY(p, pointer, field) BPF_CORE_READ(p, pointer, field)
#define CB_AT(skb) ((struct tcp_skb_cb *)((void *)(skb) + bpf_core_field_offset(struct sk_buff, cb)))
#define CB(skb, field) BPF_CORE_READ(CB_AT(skb), field)
#define CB_FLAGS(skb) flags_of(CB_AT(skb))
#define TCP_SOCK(sk) ((struct tcp_sock *)(sk))
#define COOKIE(sk) cookie_of(sk)
#define EXCHANGE(p, old, new) (*(p) = (new), 1)

static __always_inline u8 flags_of(const struct tcp_skb_cb *cb)
{
	u8 flags = 0;
	bpf_probe_read_kernel(&flags, 1, (void *)cb + bpf_core_field_offset(struct tcp_skb_cb, tcp_flags));
	return flags;
}

/* The kernel gives a socket a number when somebody asks for it, which cannot be done here: then the time makes one. */
static __always_inline u64 cookie_of(const struct sock *sk)
{
	u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);
	return cookie ? cookie : 1ull << 63 | bpf_ktime_get_ns();
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, struct state);
} states SEC(".maps");

/* A new state is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct state);
} nothing SEC(".maps");

static __always_inline struct state *state_of(const struct sock *sk)
{
	u64 key = (u64)sk;
	return bpf_map_lookup_elem(&states, &key);
}

static __always_inline struct state *state_new(const struct sock *sk)
{
	u64 key = (u64)sk;
	u32 first = 0;
	struct state *empty = bpf_map_lookup_elem(&nothing, &first);
	if (empty)
		bpf_map_update_elem(&states, &key, empty, BPF_ANY);
	return bpf_map_lookup_elem(&states, &key);
}

static __always_inline void state_gone(const struct sock *sk)
{
	u64 key = (u64)sk;
	bpf_map_delete_elem(&states, &key);
}

#include "attempts.h"

SEC("raw_tp/tcp_probe")
int BPF_PROG(tl_probe, struct sock *sk, struct sk_buff *skb)
{
	return probe(sk, skb);
}

SEC("raw_tp/inet_sock_set_state")
int BPF_PROG(tl_state, struct sock *sk, int old, int new)
{
	return state_changed(sk, old, new);
}

SEC("raw_tp/tcp_destroy_sock")
int BPF_PROG(tl_destroy, struct sock *sk)
{
	return destroy(sk);
}

SEC("raw_tp/tcp_rcv_space_adjust")
int BPF_PROG(tl_read, struct sock *sk)
{
	return was_read(sk);
}

SEC("raw_tp/inet_sk_error_report")
int BPF_PROG(tl_error, struct sock *sk)
{
	return was_told(sk);
}

SEC("raw_tp/tcp_receive_reset")
int BPF_PROG(tl_reset_in, struct sock *sk)
{
	return was_reset(sk, RST_RECEIVED);
}

SEC("raw_tp/tcp_send_reset")
int BPF_PROG(tl_reset_out, struct sock *sk, struct sk_buff *skb)
{
	return sk ? was_reset(sk, RST_SENT) : refuse(skb);
}

SEC("raw_tp/tcp_retransmit_synack")
int BPF_PROG(tl_synack, struct sock *sk, struct request_sock *req)
{
	return synack_again(req);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
