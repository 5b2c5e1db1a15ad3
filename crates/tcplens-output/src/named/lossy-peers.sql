-- The other end: the server of outbound connections, else the client. Of a connection told in parts, its last record.
SELECT CASE WHEN direction = 'outbound' THEN server_ip ELSE client_ip END AS peer_ip,
       count(*) AS connections, sum(client_retransmits + server_retransmits) AS retransmits,
       sum(client_data_segments + server_data_segments) AS data_segments,
       CASE WHEN sum(client_data_segments + server_data_segments) > 0
           THEN 100 * CAST(sum(client_retransmits + server_retransmits) AS DOUBLE)
               / sum(client_data_segments + server_data_segments) END AS retransmit_percent,
       min(CASE WHEN direction = 'outbound' THEN server_rtt_min_us ELSE client_rtt_min_us END) AS rtt_min_us,
       max(CASE WHEN direction = 'outbound' THEN server_rtt_max_us ELSE client_rtt_max_us END) AS rtt_max_us
FROM connections
WHERE "final" AND {where}
GROUP BY CASE WHEN direction = 'outbound' THEN server_ip ELSE client_ip END
HAVING sum(client_retransmits + server_retransmits) > 0
ORDER BY retransmits DESC, retransmit_percent DESC NULLS LAST, peer_ip
LIMIT {limit}
