-- The other end: the server of outbound connections, else the client. Of a connection told in parts, its last record.
-- The kernel knows repeats of its own end only, and no number of segments: the share is without it.
SELECT peer_ip, connections, r AS retransmits, d AS data_segments,
       if(d > 0, 100 * toFloat64(of_data) / d, NULL) AS retransmit_percent, rtt_min_us, rtt_max_us
FROM (
    SELECT if(ifNull(direction = 'outbound', 0), toString(server_ip), toString(client_ip)) AS peer_ip, count() AS connections,
           sum(ifNull(client_retransmits, 0) + ifNull(server_retransmits, 0)) AS r,
           sum(client_data_segments + server_data_segments) AS d,
           sum(if((client_data_segments + server_data_segments) IS NOT NULL,
                  ifNull(client_retransmits, 0) + ifNull(server_retransmits, 0), NULL)) AS of_data,
           min(if(ifNull(direction = 'outbound', 0), server_rtt_min_us, client_rtt_min_us)) AS rtt_min_us,
           max(if(ifNull(direction = 'outbound', 0), server_rtt_max_us, client_rtt_max_us)) AS rtt_max_us
    FROM connections
    WHERE "final" AND {where}
    GROUP BY peer_ip
)
WHERE r > 0
ORDER BY r DESC, retransmit_percent DESC NULLS LAST, peer_ip
LIMIT {limit}
