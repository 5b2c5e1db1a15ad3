-- Servers by repeated segments, both ways. The kernel knows its own end only, and no number of segments: the share is without it.
SELECT server_ip, server_port, r AS repeated_segments, d AS data_segments,
       if(d > 0, 100 * toFloat64(of_data) / d, NULL) AS repeated_percent, syn AS syn_retransmits, z AS zero_windows,
       if(samples > 0, toFloat64(rtt) / samples, NULL) AS mean_rtt_us
FROM (
    SELECT server_ip, server_port, sum(repeated_segments) AS r, sum(data_segments) AS d,
           sum(if(data_segments IS NOT NULL, repeated_segments, NULL)) AS of_data, sum(syn_retransmits) AS syn,
           sum(zero_windows) AS z, sum(rtt_samples) AS samples, sum(rtt_sum_us) AS rtt
    FROM rollups
    WHERE protocol IS NULL AND {where}
    GROUP BY server_ip, server_port
)
WHERE r > 0 OR syn > 0
ORDER BY r DESC NULLS LAST, syn DESC NULLS LAST, server_ip NULLS LAST, server_port NULLS LAST
LIMIT {limit}
