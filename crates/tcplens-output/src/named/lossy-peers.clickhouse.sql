-- The other end: the server of outbound connections, else the client. Of a connection told in parts, its last record.
SELECT peer_ip, connections, r AS retransmits, d AS data_segments,
       if(d > 0, 100 * toFloat64(r) / d, NULL) AS retransmit_percent, rtt_min_us, rtt_max_us
FROM (
    SELECT if(ifNull(direction = 'outbound', 0), toString(server_ip), toString(client_ip)) AS peer_ip, count() AS connections,
           sum(client_retransmits + server_retransmits) AS r, sum(client_data_segments + server_data_segments) AS d,
           min(if(ifNull(direction = 'outbound', 0), server_rtt_min_us, client_rtt_min_us)) AS rtt_min_us,
           max(if(ifNull(direction = 'outbound', 0), server_rtt_max_us, client_rtt_max_us)) AS rtt_max_us
    FROM connections
    WHERE "final" AND {where}
    GROUP BY peer_ip
)
WHERE r > 0
ORDER BY r DESC, retransmit_percent DESC NULLS LAST, peer_ip
LIMIT {limit}
