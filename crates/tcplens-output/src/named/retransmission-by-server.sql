-- Servers by repeated segments, both ways. The kernel knows its own end only, and no number of segments: the share is without it.
SELECT server_ip, server_port, sum(repeated_segments) AS repeated_segments, sum(data_segments) AS data_segments,
       CASE WHEN sum(data_segments) > 0
           THEN 100 * CAST(sum(CASE WHEN data_segments IS NOT NULL THEN repeated_segments END) AS DOUBLE) / sum(data_segments) END
           AS repeated_percent,
       sum(syn_retransmits) AS syn_retransmits, sum(zero_windows) AS zero_windows,
       CASE WHEN sum(rtt_samples) > 0 THEN CAST(sum(rtt_sum_us) AS DOUBLE) / sum(rtt_samples) END AS mean_rtt_us
FROM rollups
WHERE protocol IS NULL AND {where}
GROUP BY server_ip, server_port
HAVING sum(repeated_segments) > 0 OR sum(syn_retransmits) > 0
ORDER BY repeated_segments DESC NULLS LAST, syn_retransmits DESC NULLS LAST, server_ip NULLS LAST, server_port NULLS LAST
LIMIT {limit}
