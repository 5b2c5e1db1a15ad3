/* SPDX-License-Identifier: GPL-2.0-only OR MIT OR Apache-2.0 */
/* What the programs share with each other and with the reader, and what is set before they are loaded. */
#ifndef TCPLENS_MAPS_H
#define TCPLENS_MAPS_H

#include "state.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

/* Bits by port, in host order. One value, mapped: it is changed without a system call. */
struct ports {
	u8 bits[65536];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ports);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct control);
} control SEC(".maps");

/* Set before loading: what is not asked for is not even verified. */
volatile const u32 asks = 0; /* clients are looked at: the ACK of their request may be the first that is seen */
volatile const u32 wants_tasks = 1;
volatile const u32 only_connections = 0; /* of these, tasks are not told */
volatile const u32 wants_attempts = 1;
volatile const u32 peeks = 0;
volatile const u32 at_device = 0; /* what is sent is stamped when it goes to the device */
volatile const u32 only_netns = 0;
volatile const u32 skips = 0; /* tests: payload that ends at a multiple of it is not shown to the program on tcp_probe */
volatile const u32 thresholds[FRAMES] = {};
volatile const u32 wakes_at = 1 << 20; /* bytes that wait before the reader is woken: it looks by itself now and then */

static const u32 zero = 0;

#define COUNT(what)                                                                                 \
	do {                                                                                        \
		struct counts *all = bpf_map_lookup_elem(&counts, &zero);                           \
		if (all)                                                                            \
			__sync_fetch_and_add(&all->what, 1);                                        \
	} while (0)

/* Serial number arithmetic (RFC 1982). */
always int after(u32 a, u32 b)
{
	return (s32)(a - b) > 0;
}

#endif
