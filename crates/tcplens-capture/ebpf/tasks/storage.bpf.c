/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* For Linux 5.12 and later: BTF tracepoints, a state in each socket, which goes with it. Kernel pointers are trusted, so a
 * field is a plain load. */
#include "state.h"

#define HOOK "tp_btf/"
#define READ(p, field) ((p)->field)
#define READ_BY(p, pointer, field) ((p)->pointer->field)
#define CB(skb, field) (*(u32 *)((void *)(skb)->cb + bpf_core_field_offset(struct tcp_skb_cb, field)))
#define CB_FLAGS(skb) (*(u8 *)((void *)(skb)->cb + bpf_core_field_offset(struct tcp_skb_cb, tcp_flags)))
#define TCP_SOCK(sk) tcp_sock_of((void *)(sk))
#define COOKIE(sk) bpf_get_socket_cookie((void *)(sk))
#define EXCHANGE(p, old, new) (__sync_val_compare_and_swap(p, old, new) == (old))

/* bpf_skc_to_tcp_sock(), as kernel.h declares struct tcp_sock. */
static struct tcp_sock *(*tcp_sock_of)(void *sk) = (void *)BPF_FUNC_skc_to_tcp_sock;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct state);
} states SEC(".maps");

/* Most sockets have no state of anybody's: that is seen without a call. */
#define state_of(sk) \
	((sk)->sk_bpf_storage ? (struct state *)bpf_sk_storage_get(&states, (void *)(sk), 0, 0) : 0)
#define state_new(sk) ((struct state *)bpf_sk_storage_get(&states, (void *)(sk), 0, BPF_SK_STORAGE_GET_F_CREATE))
#define state_gone(sk) bpf_sk_storage_delete(&states, (void *)(sk))

#include "hooks.h"

/* First bytes of what comes and goes, before the socket sees them. It takes no part in what happens to the packet. */
always int peek(struct __sk_buff *skb, u8 role)
{
	struct bpf_sock *sk = skb->sk;
	struct state *st;
	u8 first = 0, offset = 0, protocol = 0;
	u32 at = 40, seq = 0, length;
	if (!sk)
		return 1;
	st = bpf_sk_storage_get(&states, sk, 0, 0);
	if (!st || st->who.role != role)
		return 1;
	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return 1;
	if (first >> 4 == 4)
		at = (first & 15) * 4;
	else if (bpf_skb_load_bytes(skb, 6, &protocol, 1) || protocol != TCP)
		return 1; /* extension headers */
	if (bpf_skb_load_bytes(skb, at + 12, &offset, 1) || bpf_skb_load_bytes(skb, at + 4, &seq, 4))
		return 1;
	seq = __builtin_bswap32(seq);
	at += (offset >> 4) * 4;
	if (skb->len <= at)
		return 1;
	/* What has been seen is of no interest; and one that waits for its segment stays, for there may be more of them on
	 * their way to the socket. */
	if (after(st->expected_seq, seq) || (st->pending_length && !after(st->expected_seq, st->pending_seq) &&
					     after(seq, st->pending_seq)))
		return 1;
	length = skb->len - at;
	if (length > HEAD)
		length = HEAD;
	barrier_var(length);
	if (length < 1 || length > HEAD)
		return 1;
	st->pending_length = 0;
	if (bpf_skb_load_bytes(skb, at, st->pending, length))
		return 1;
	st->pending_seq = seq;
	st->pending_length = length;
	return 1;
}

SEC("cgroup_skb/ingress")
int tl_in(struct __sk_buff *skb)
{
	return peek(skb, LOCAL);
}

SEC("cgroup_skb/egress")
int tl_out(struct __sk_buff *skb)
{
	return peek(skb, PEER);
}

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
};

/* What follows tells of what nothing happens to. It does not have the socket's lock: what is told of a task is right if
 * nobody has ended the task by the time it is filled in. Each says whether there was room. */

always int tell_open_attempt(const struct sock *sk, const struct tcp_sock *tp, struct state *st, u64 now)
{
	struct event *e = reserve();
	if (!e)
		return 0;
	fill(e, tp, st, OPEN_ATTEMPT, now);
	copy_ends(&sk->__sk_common, &e->who);
	e->who.local_port = READ(sk, __sk_common.skc_num);
	e->who.remote_port = __builtin_bswap16(READ(sk, __sk_common.skc_dport));
	submit(e);
	return 1;
}

/* A task whose response has been acknowledged, or has come, for `flush`; at the end any. */
always int tell_standing(const struct sock *sk, const struct tcp_sock *tp, struct state *st, const struct control *command,
			 u64 now)
{
	u64 turn = st->turn, t2 = st->t2, t3 = st->t3, t4 = 0, last = 0;
	u8 kind = OPEN_TASK;
	int is_done = 0, is_known = 1, has_begun = (turn & 3) == RESPONSE;
	if ((turn & 3) == NONE)
		return 1;
	if (st->who.role == LOCAL && has_begun) {
		t2 = left_at(st, t2);
	} else if (st->who.role == LOCAL && sent(tp, st) != st->task_sent) {
		/* After the client's FIN no segment is probed that would show it. */
		t2 = begun_at(sk, tp, st, st->t1);
		is_known = is_begun_known(tp, st);
		has_begun = 1;
	}
	if (st->who.role == LOCAL && has_begun) {
		is_done = READ(tp, snd_una) == READ(tp, snd_nxt) && READ(tp, write_seq) == READ(tp, snd_nxt);
		t4 = acked_at(tp, st);
		last = t4 = t4 > t2 ? t4 : t2;
		t3 = is_done ? response_sent_at(sk, tp, st, t2) : 0;
		kind = ANSWERED;
	} else if (st->who.role == PEER && has_begun) {
		/* Its own next request may be on its way. */
		is_done = sent(tp, st) == st->task_sent;
		last = st->t3;
		kind = RECEIVED;
	}
	if (command->mode == FLUSH && (!is_done || now < last + command->flush))
		return 1;
	struct event *e = reserve();
	if (!e)
		return 0;
	fill(e, tp, st, is_done ? kind : OPEN_TASK, now);
	if (st->who.role == PEER && !has_begun)
		e->t0 = left_at(st, e->t0);
	if (at_device && st->who.role == LOCAL && has_begun && (!has_left(st) || (t3 && !last_left_at(tp, st, t2))))
		COUNT(times_missed);
	e->t2 = t2;
	if (!is_known)
		e->flags |= NO_T2;
	e->t3 = t3;
	e->t4 = is_done ? t4 : 0;
	if (st->who.role == LOCAL)
		e->response_bytes = t2 ? sent(tp, st) - st->task_sent : 0;
	else
		e->response_bytes = received(sk, tp, st) - st->task_received;
	if ((turn & 3) == REQUEST)
		e->request_bytes = st->who.role == LOCAL ? received(sk, tp, st) - st->task_received :
							   sent(tp, st) - st->task_sent;
	fill_heads(e, st);
	e->next_length = 0;
	st->told_task = turn >> 2;
	st->told = st->who.role == LOCAL ? sent(tp, st) : received(sk, tp, st);
	if (EXCHANGE(&st->turn, turn, turn & ~3ull))
		submit(e);
	else
		bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
	return 1;
}

SEC("iter/bpf_sk_storage_map")
int tl_all(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct control *command = bpf_map_lookup_elem(&control, &zero);
	struct sock *sk = ctx->sk;
	struct tcp_sock *tp;
	struct state *st;
	int has_room = 1;
	if (!sk || !command)
		return 0;
	tp = TCP_SOCK(sk);
	st = tp ? state_of(sk) : 0;
	if (!st || st->is_told)
		return 0;
	u64 now = bpf_ktime_get_ns();
	u8 state = READ(sk, __sk_common.skc_state);
	int is_attempt = state == SYN_SENT || state == SYN_RECV;
	if (is_attempt ? !wants_attempts || command->mode != END : !wants_tasks)
		return 0;
	went_on(sk, tp, st);
	if (is_attempt)
		has_room = tell_open_attempt(sk, tp, st, now);
	else if (command->mode == TELL)
		has_room = tell_connection(sk, tp, st, OPEN_CONNECTION, now);
	else
		has_room = tell_standing(sk, tp, st, command, now);
	if (has_room && !is_attempt && command->mode == END)
		has_room = tell_connection(sk, tp, st, OPEN_CONNECTION, now);
	if (!has_room)
		COUNT(postponed);
	else if (command->mode == END)
		st->is_told = 1;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
