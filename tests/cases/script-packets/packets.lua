-- What a packet is made of, and in which order packets, records and ticks come.
function process(p)
  print(
    p.frame,
    p.tv_sec,
    p.tv_usec,
    p.tv_nsec,
    p.protocol,
    p.sip,
    p.sport,
    p.dip,
    p.dport,
    p.size,
    p.request,
    p.flags,
    p.seq,
    p.ack,
    p.window,
    p.vlan,
    p.ttl,
    p.ip_version,
    p.mss,
    p.wscale,
    p.sack_permitted,
    p.ts_val,
    p.direction,
    p.connection,
    #p.payload
  )
end

function on_handshake(h)
  print("handshake", h.outcome, h.syn_retransmits, h.handshake_us, h.syn_to_synack_us)
end

function on_connection(c)
  print("connection", c.close, c.client_bytes, c.server_bytes, c.vlan)
end

function on_tick(seconds)
  print("tick", seconds)
end

function on_exit()
  print("exit", arg[0], arg.who)
end
