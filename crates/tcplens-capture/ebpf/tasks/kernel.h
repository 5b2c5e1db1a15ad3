/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* The fields of kernel structs that are read, and nothing else. Where they lie is found when the programs are loaded
 * (CO-RE): their order and the gaps between them mean nothing here. */
#ifndef TCPLENS_KERNEL_H
#define TCPLENS_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;

#define RELOCATED __attribute__((preserve_access_index))

/* enum in include/net/tcp_states.h */
enum tcp_state {
	ESTABLISHED = 1,
	SYN_SENT = 2,
	SYN_RECV = 3,
	FIN_WAIT1 = 4,
	FIN_WAIT2 = 5,
	TIME_WAIT = 6,
	CLOSE = 7,
	LAST_ACK = 9,
	LISTEN = 10,
	NEW_SYN_RECV = 12,
};

#define INET 2 /* AF_INET */
#define TCP 6 /* IPPROTO_TCP */
#define FIN 1 /* TCP header, byte 13 */
#define SYN 2
#define ACK 16
/* enum sock_flags */
#define DEAD 0 /* SOCK_DEAD: no process has it any more */
#define DONE 1 /* SOCK_DONE: the peer's FIN has come */

#define TIMED_OUT 110 /* ETIMEDOUT */
#define RWND_LIMITED 1 /* in chrono_stat: TCP_CHRONO_RWND_LIMITED - 1 */

struct rb_node {
	struct rb_node *rb_right;
	struct rb_node *rb_left;
} RELOCATED;

struct rb_root {
	struct rb_node *rb_node;
} RELOCATED;

struct in6_addr {
	u8 bytes[16];
};

struct ns_common {
	unsigned int inum;
} RELOCATED;

struct net {
	struct ns_common ns;
} RELOCATED;

typedef struct {
	struct net *net;
} RELOCATED possible_net_t;

typedef struct {
	long counter;
} RELOCATED atomic64_t;

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	volatile u8 skc_state;
	unsigned long skc_flags;
	atomic64_t skc_cookie;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} RELOCATED;

struct sk_buff;

struct sk_buff_head {
	struct sk_buff *prev;
} RELOCATED;

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_error_queue;
	struct rb_root tcp_rtx_queue;
	u16 sk_protocol;
	int sk_err, sk_err_soft;
	void *sk_bpf_storage;
} RELOCATED;

struct inet_sock {
	struct sock sk;
	u16 inet_sport;
} RELOCATED;

struct inet_connection_sock {
	struct inet_sock icsk_inet;
} RELOCATED;

struct minmax_sample {
	u32 t;
	u32 v;
} RELOCATED;

struct minmax {
	struct minmax_sample s[3];
} RELOCATED;

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 mss_cache, snd_cwnd, rcv_nxt, snd_nxt, snd_una, write_seq, srtt_us, total_retrans;
	u32 data_segs_in, data_segs_out;
	u64 bytes_acked, bytes_received;
	u32 chrono_stat[3];
	struct minmax rtt_min;
	struct rb_root out_of_order_queue;
	u64 first_tx_mstamp, delivered_mstamp, tcp_mstamp;
} RELOCATED;

struct request_sock {
	struct sock_common __req_common;
	u8 num_retrans;
} RELOCATED;

struct net_device {
	possible_net_t nd_net;
} RELOCATED;

struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	char cb[48];
	u32 len;
	unsigned char *head, *data;
	u16 transport_header, network_header;
	u64 skb_mstamp_ns;
	struct rb_node rbnode;
} RELOCATED;

struct sock_extended_err {
	u32 ee_errno;
} RELOCATED;

struct sock_exterr_skb {
	struct sock_extended_err ee;
} RELOCATED;

struct tcp_skb_cb {
	u32 seq, end_seq, ack_seq;
	u16 tcp_flags; /* 8 bits before 6.16: only its lower byte is read */
} RELOCATED;

#endif
