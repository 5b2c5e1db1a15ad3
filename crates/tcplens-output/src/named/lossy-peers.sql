-- The other end: the server of outbound connections, else the client. Of a connection told in parts, its last record.
-- The kernel knows repeats of its own end only, and no number of segments: the share is without it.
SELECT CASE WHEN direction = 'outbound' THEN server_ip ELSE client_ip END AS peer_ip,
       count(*) AS connections, sum(COALESCE(client_retransmits, 0) + COALESCE(server_retransmits, 0)) AS retransmits,
       sum(client_data_segments + server_data_segments) AS data_segments,
       CASE WHEN sum(client_data_segments + server_data_segments) > 0
           THEN 100 * CAST(sum(CASE WHEN (client_data_segments + server_data_segments) IS NOT NULL
                                THEN COALESCE(client_retransmits, 0) + COALESCE(server_retransmits, 0) END) AS DOUBLE)
               / sum(client_data_segments + server_data_segments) END AS retransmit_percent,
       min(CASE WHEN direction = 'outbound' THEN server_rtt_min_us ELSE client_rtt_min_us END) AS rtt_min_us,
       max(CASE WHEN direction = 'outbound' THEN server_rtt_max_us ELSE client_rtt_max_us END) AS rtt_max_us
FROM connections
WHERE "final" AND {where}
GROUP BY CASE WHEN direction = 'outbound' THEN server_ip ELSE client_ip END
HAVING sum(COALESCE(client_retransmits, 0) + COALESCE(server_retransmits, 0)) > 0
ORDER BY retransmits DESC, retransmit_percent DESC NULLS LAST, peer_ip
LIMIT {limit}
