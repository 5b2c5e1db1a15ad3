/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* For Linux 5.8 to 5.11, and for kernels that refuse the other: raw tracepoints, states in a hash by the socket's address,
 * every field read by a call. What it lacks: an iterator (idle connections do not tell of their last request), first bytes
 * of requests. */
#include "state.h"

#define HOOK "raw_tp/"
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

#include "hooks.h"

char LICENSE[] SEC("license") = "Dual MIT/GPL";
